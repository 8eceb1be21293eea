"""Fine-tuning by group relative policy optimisation (Flow-GRPO), with searched noise (Smart-GRPO) or without."""
