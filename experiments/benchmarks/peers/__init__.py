"""nashalign beside the tools that one would use instead."""
