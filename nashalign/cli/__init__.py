"""The commands of the wheel: any checkpoint, prompts, annotator and row."""
