"""Converts GGUF files of the Llama architecture to Hugging Face folders."""
