"""One experiment: everything that the pictures and numbers of a comparison depend on."""

from dataclasses import dataclass, field

from denoiser.noise import GaussianNoise, NoiseModel
from denoiser.registry import DEFAULT_DENOISERS


@dataclass(frozen=True)
class Experiment:
    """What to corrupt, how, and which denoisers to run.

    Attributes:
        noise: One noise, or a :class:`~denoiser.noise.NoiseChain` of two.
        seed: Seed of the noise, a whole number from 0.
        clip: Clip the noisy picture to [0, 1].
        round_8bit: Round the noisy picture to 8 bits.
        methods: Ids of the denoisers.
        sample: Id of the sample face; None leaves the face as it is.
    """

    noise: NoiseModel = field(default_factory=GaussianNoise)
    seed: int = 0
    clip: bool = True
    round_8bit: bool = False
    methods: tuple[str, ...] = DEFAULT_DENOISERS
    sample: str | None = None
