"""What a fine-tune's presets and settings are for, in words. Standard library only: the web process tells them."""

from core import config as settings
from core.config import SearchConfig

PRESET_HELP: dict[str, str] = {
    "flow-grpo": "Random noise at one early step of six, pictures of a prompt from one start: 240 epochs of 4 prompts "
    "× 24 pictures, about a quarter of an hour on one core. The default.",
    "flow-grpo-all-steps": "Random noise at every step of ten but the last, all of them trained, every picture from "
    "its own start, as first published: 40 epochs of 8 × 6; an epoch costs over twice the default's evaluations.",
    "smart-grpo": "As the paper: the noise of one step of six is searched for every picture by its reward. 40 epochs "
    "of 8 × 6; most of what an epoch costs is the search.",
    "smart-grpo-half": "As smart-grpo, but half of each group keeps its random noise, so that searched and random "
    "noise compete. 40 epochs of 8 × 6; half the search's cost.",
    "best-of-k": "As smart-grpo without a search: every picture is the best of K whole trajectories with random noise. "
    "40 epochs of 8 × 6.",
    "sd3.5-flow-grpo": "Stable Diffusion 3.5 Medium at the published settings: 360 epochs of 48 × 24 at 512 pixels. "
    "Needs its weights and a large GPU.",
}

# What a setting is and which way it acts, for the form and the command line alike.
TRAIN_HELP: dict[str, str] = {
    "preset": "A whole set of settings to begin with. Each can then be changed; those not changed follow the preset.",
    "model": "The model that learns. Its weights stay as they are: a small adapter (LoRA) beside them is trained.",
    "seed": "Fixes every random number: the same seed, settings and machine give the same weights, bit for bit.",
    "threads": "CPU threads of this run. More are faster where cores are free; another number rounds differently, so "
    "results differ in the last digits.",
    "epochs": "Rounds of drawing pictures, scoring them and updating the weights. Time and cost grow in proportion.",
    "prompt_set": "The prompts to learn from, by name. A part of a set is kept for judging, unless it is very short.",
    "prompts": "Prompts of your own, one a line, in place of a set.",
    "eval_prompts": "At most so many of the kept prompts are drawn at each judgement. More make the verdict surer and "
    "judging longer; a set that has kept fewer gives all it has.",
    "rewards": "What scores the pictures, with weights; weight 0 only watches.",
    "prompts_per_epoch": "Groups an epoch: so many prompts, drawn in turn. More make each update steadier, and dearer.",
    "group_size": "Pictures of each prompt. A picture's advantage is its reward less the mean of its group, so a "
    "larger group tells better which pictures were good. Cost grows in proportion.",
    "share_start": "All pictures of a prompt start from the same noise, so that only the trained steps tell them apart "
    "and rewards differ through them alone. Off: each picture has a start of its own, as first published.",
    "updates_per_epoch": "Optimiser steps an epoch; the prompts are shared out among them. With one the policy is "
    "still the one that drew the pictures, so the clip range never acts; with more it does.",
    "num_steps": "Steps from noise to picture while training. What is learned holds best for as many steps as these.",
    "eval_steps": "Steps from noise to picture when the model is judged and samples are drawn, without noise. As many "
    "as in training judges what was learned; more show what is left of it at better quality.",
    "guidance_scale": "Classifier-free guidance: how hard the prompt pulls. Above 1 every velocity costs two "
    "evaluations; at 1 the prompt acts without it.",
    "step_kind": "How noise enters a step: sde as Flow-GRPO has it, cps without the excess noise that sde leaves in "
    "the picture, dance (DanceGRPO) with the same amount at every step.",
    "noise_level": "How much noise a noisy step adds: more makes pictures of a prompt differ more, which is the "
    "signal, and makes them worse. Empty: the step kind's published value (sde 0.7, cps 0.8, dance 0.3).",
    "sde_window": "So many consecutive steps get noise and are trained; where they lie is drawn anew each epoch, "
    "between the two bounds below. The others follow the ODE. Empty: every step but the last.",
    "window_min": "Lowest noise level (σ is 1 in pure noise, 0 in the picture) at which steps are searched, and with a "
    "number of noisy steps above also the lowest at which noise enters. Late steps change only the grain.",
    "window_max": "Highest noise level for the same. Early steps decide layout and number, but a search's guesses from "
    "there say little of how the picture ends.",
    "noise_source": "Where a noisy step's noise comes from: random (Flow-GRPO), searched for the highest reward of the "
    "guessed picture (Smart-GRPO), or that of the best of K whole random trajectories.",
    "searched_fraction": "The share of each group whose noise is chosen; the rest keeps random noise. At 1, the "
    "paper's, what every picture gains alike vanishes with the group's mean; below it chosen and random compete.",
    "learning_rate": "AdamW's step size. Too high: the reward falls or pictures turn strange; too low: nothing moves.",
    "weight_decay": "AdamW's weight decay: pulls the adapter towards doing nothing. Rarely needs a change.",
    "max_grad_norm": "A gradient longer than this is scaled down to it, so that one batch cannot throw the weights "
    "off.",
    "clip_range": "PPO's clip: a picture stops counting once it is this much more or less likely than when it was "
    "drawn. Small, because log-probabilities are means over the latents. Empty: Flow-GRPO's 1e-4, scaled up for "
    "smaller latents.",
    "advantage_clip": "Advantages are cut at plus and minus this, in standard deviations, so that one lucky picture "
    "does not decide an update.",
    "advantage_std": "What a reward's distance from its group's mean is divided by. batch: the spread of all pictures, "
    "so that groups that differ more teach more; prompt: its own group's, so that all groups teach alike.",
    "kl_beta": "Weight of the KL penalty that holds the model near where it started. 0: no penalty, and no second "
    "evaluation for it; raise it where pictures lose variety or the reward is fooled.",
    "lora_rank": "Rank of the adapter's matrices: higher can learn more, and makes a larger file.",
    "lora_alpha": "The adapter acts with strength alpha / rank. Twice the rank is usual.",
    "ema": "Also keep a running average of the adapter's weights. It is steadier than the weights of the last update, "
    "and what the run leaves behind.",
    "ema_decay": "The share of the average that stays at each optimiser step: 0.95 averages over about 20 of them.",
    "micro_batch": "Pictures that are computed together. Lower it where memory runs out; results are the same up to "
    "rounding.",
    "gradient_checkpointing": "Compute parts of the network again in the backward pass: less memory, about a third "
    "slower, the same result.",
    "eval_every": "Epochs between two judgements. 0: only before the first epoch and after the last.",
    "sample_every": "Epochs between two sheets of the sample pictures (up to eight kept captions, always from the same "
    "noise). 0: only before and after.",
    "watch_every": "Epochs between two searches of the training that are recorded as sessions to be looked at in "
    "Explore. 0: none.",
    "checkpoint_every": "Epochs between two stored states, from which a run that is killed goes on; the newest are "
    "kept, older ones as long as there is room. 0: only at the end. Pause and Stop store one anyway.",
    "max_seconds": "End the run at the first epoch's end after this many seconds, judged and stored as at its end. "
    "Empty: no limit.",
} | {f"search.{name}": settings.FIELD_HELP[f"search.{name}"] for name in SearchConfig.__dataclass_fields__}
