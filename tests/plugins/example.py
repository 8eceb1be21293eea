"""An example of a plug-in: a reward, a search with a preset of its own, and a model, in plain Python.

python -m app check-plugin tests/plugins/example.py
python -m app serve --plugin tests/plugins/example.py
"""

from core.plugins import register_model, register_preset, register_reward, register_search


def make_redness(device):
    import torch  # inside: the web process runs this file too, and needs no torch

    def redness(images, prompts):
        """How much more red than green and blue a picture is; the prompts do not matter."""
        return images[:, 0].mean((1, 2)) - images[:, 1:].mean((1, 2, 3)) + torch.zeros(len(prompts))

    return redness


def make_keep_spread():
    """The cross-entropy method, but half of the old spread stays, so that it does not collapse at once."""
    from types import SimpleNamespace

    from core.search import cem

    def tell(state, noise, total, elites, *, min_std=0.0):
        new = cem.tell(state, noise, total, elites, min_std=min_std)
        return cem.CEMState(new.search_mean, (new.search_std + state.search_std) / 2, new.best, new.best_reward)

    return SimpleNamespace(start=cem.start, ask=cem.ask, tell=tell, result=cem.result)


def make_flat(place):
    import torch

    from core.models.protocol import Conditioning
    from core.schedule import shifted

    class Flat:
        """Paints 8x8 pictures in the colour of the prompt, with some of the noise left in."""

        id = "flat"
        latent_shape = (3, 8, 8)
        device = torch.device(place)

        def sigmas(self, num_steps):
            return shifted(num_steps)

        def encode(self, prompt, guidance_scale):
            colour = torch.tensor([float(word in prompt) for word in ("red", "green", "blue")])
            return Conditioning(prompt, guidance_scale, colour.view(1, 1, 3), colour.view(1, 3))

        def velocity(self, latents, sigma, conditioning):
            return 0.9 * (latents - conditioning.pooled_embeds.view(1, 3, 1, 1))

        def nfe(self, conditioning):
            return 1

        def decode(self, latents):
            return latents.clamp(0, 1)

    return Flat()


register_reward("redness", make_redness, help="How much more red than green and blue a picture is.", range=(-1, 1))
register_search("keep-spread", make_keep_spread)
register_preset(
    "slow-search",
    help="Eight rounds of four noises, whose spread shrinks slowly.",
    algorithm="keep-spread",
    num_candidates=4,
    num_iterations=8,
    elite_fraction=0.5,
    result="mean_on_shell",
)
register_model("flat", make_flat, help="One colour, in no time.", height=8, width=8, guidance_pair=False)
