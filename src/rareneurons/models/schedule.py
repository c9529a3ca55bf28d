"""At which training steps checkpoints are saved."""


def checkpoint_steps(steps: int, every: int) -> list[int]:
    """Pythia's spacing: 0, 1, 2, 4, ... 512, then every ``every`` steps, and the last step.

    Biderman et al. 2023 (arXiv 2304.01373), section 2; ``checkpoint_steps(143000, 1000)`` are their 154 steps.
    """
    early = [0, *(2**exponent for exponent in range(10))]
    later = range(every, steps + 1, every)
    return sorted({step for step in [*early, *later, steps] if step <= steps})
