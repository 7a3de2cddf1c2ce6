"""Classes that a network has never met: how often their p-value is below 1 %, beside the energy and softmax scores.

Each class of the simulated survey is left out of a training of its own, and with it whatever holds its light: hard
objects blended with it, and, for the classes that bodies of artifacts and of bad spectra are drawn from, those. A
half of the known that were not trained on fit the p-value, the rest tell how often it raises a false alarm; each
peer's threshold is the one that raises one in a hundred among the same half. `--size` is the number of objects of
each kind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from classifier.calibration import out_of_distribution_p_values
from classifier.networks import Network
from classifier.strangeness import fit_strangeness, measure_strangeness
from classifier.training import IMAGE_TRAINING, SPECTRUM_TRAINING, TrainingConfig, train
from esocs.demo.survey.difficulty import Kind
from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.simulated_sky import Sky, simulate_sky

ALARM = 0.01
TRAINED_SHARE = 0.6
STEPS = {"image": 300, "spectrum": 400}
CONFIGS: dict[str, TrainingConfig] = {"image": IMAGE_TRAINING, "spectrum": SPECTRUM_TRAINING}
# A defect lies over an ordinary object: whoever learned the defect has seen objects of these classes.
BODIES = {"artifact": ("elliptical", "star"), "bad": ("star", "galaxy", "quasar")}


def main() -> None:
    arguments = parse_arguments(description=__doc__ or "", size=2500, size_help="objects of each kind")
    rows, found = [], []
    kinds: tuple[Kind, ...] = ("image", "spectrum")
    for kind in kinds:
        sky = simulate_sky(kind=kind, count=arguments.size)
        for left_out in range(len(sky.classes)):
            rates = measure(sky, left_out, CONFIGS[kind], steps=STEPS[kind])
            rows.append([kind, sky.classes[left_out], *rates.values()])
            found.append({"kind": kind, **rates})
            print(*rows[-1], flush=True)
    print_table(["kind", "left out", *[key for key in found[0] if key != "kind"]], rows)

    def mean(key: str, kind: str | None = None) -> float:
        return float(np.mean([float(rates[key]) for rates in found if kind in {None, rates["kind"]}]))

    print_result(
        name="out_of_distribution",
        ours=mean("p < 0.01"),
        peer=max(mean("energy"), mean("softmax")),
        unit="share of a class never met that is told, at 1 % false alarms",
        detection_rate=mean("p < 0.01"),
        detection_rate_images=mean("p < 0.01", "image"),
        detection_rate_spectra=mean("p < 0.01", "spectrum"),
        worst_class=min(float(rates["p < 0.01"]) for rates in found),
        false_alarms=mean("false alarms"),
        energy=mean("energy"),
        softmax=mean("softmax"),
    )


def measure(sky: Sky, left_out: int, config: TrainingConfig, *, steps: int) -> dict[str, float]:
    """Detection rates of one class that was left out, and the false alarms among the known."""
    strange = sky.take(sky.labels == left_out)
    known = sky.take(~holds_light(sky, left_out))
    count = len(known.labels)
    learned = known.take(np.arange(round(TRAINED_SHARE * count)))
    fitted, tested = np.split(np.arange(len(learned.labels), count), [(count - len(learned.labels)) // 2])
    network = train(
        learned.samples(), replace(config, hold_out_share=0.0, seed=1, least_steps=steps, most_steps=steps)
    ).networks[0]
    odd = measure_ours(network, learned, known.take(np.concatenate((fitted, tested))), strange, apart=len(fitted))
    logits = [look(network, planes) for planes in (strange.planes, known.planes[fitted], known.planes[tested])]
    rates = {
        "p < 0.01": float((odd[0] < ALARM).mean()),
        "false alarms": float((odd[1] < ALARM).mean()),
    }
    for name, score in (("energy", energy), ("softmax", unsureness)):
        threshold = np.quantile(score(logits[1]), 1 - ALARM)
        rates[name] = float((score(logits[0]) > threshold).mean())
    rates["known accuracy"] = float(
        (logits[2].argmax(axis=1) == np.searchsorted(np.unique(learned.labels), known.labels[tested])).mean()
    )
    return rates


def holds_light(sky: Sky, class_index: int) -> NDArray[np.bool_]:
    """(N,) whether an object is of the class, is blended with it, or is a defect over objects of it."""
    name = sky.classes[class_index]
    defects = [k for k, other in enumerate(sky.classes) if name in BODIES.get(other, ())]
    return (sky.labels == class_index) | (sky.hard & (sky.second == class_index)) | np.isin(sky.labels, defects)


def measure_ours(
    network: Network, learned: Sky, known: Sky, strange: Sky, *, apart: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """p-values of the strange and of the known after the first `apart`, which are what they are compared with."""
    every = np.arange(len(learned.labels))
    _, groups = np.unique(learned.labels, return_inverse=True)
    fit_strangeness(
        network, learned.planes, positions=every, groups=groups, steps=IMAGE_TRAINING.strangeness_steps, seed=1
    )
    odd, fresh = (
        measure_strangeness(network, sky.planes, np.arange(len(sky.labels))).astype(np.float64)
        for sky in (strange, known)
    )
    return tuple(out_of_distribution_p_values(values, fresh[:apart]) for values in (odd, fresh[apart:]))  # type: ignore[return-value]


@torch.inference_mode()
def look(network: Network, planes: NDArray[np.float16]) -> NDArray[np.float32]:
    """(N, K) logits."""
    seen = [network(torch.from_numpy(planes[i : i + 64]))[0]["T0"] for i in range(0, len(planes), 64)]
    return torch.cat(seen).numpy()


def energy(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """-log sum exp of the logits (Liu, Wang, Owens & Li 2020, arXiv:2010.03759); larger is odder."""
    return np.asarray(-logsumexp(logits, axis=1), dtype=np.float32)


def unsureness(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """One less the largest softmax (Hendrycks & Gimpel 2017, arXiv:1610.02136)."""
    return np.asarray(1 - softmax(logits, axis=1).max(axis=1), dtype=np.float32)


if __name__ == "__main__":
    main()
