"""Checkpoints: safetensors with a config, in weights/ or from the Hugging Face Hub."""
