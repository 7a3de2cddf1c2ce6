"""Classes that a network has never met: how often their p-value is below 1 %, beside the energy and softmax scores.

Each class of the simulated survey is left out in turn, and with it whatever holds its light: hard objects blended with
it, and, for the classes that bodies of artifacts and of bad spectra are drawn from, those. Six in ten of the known
teach what is known; the rest are what p-values are compared with, and, a fifth at a time against the other four
fifths, tell how often one raises a false alarm. The peers need a network trained without the class, which takes half a
minute: by default they are measured for one class of each kind, with `--peers` for all. The ceiling is what a
perceptron on the same statistics tells at as many false alarms when it has been taught by half of the class, and is
asked for the other half. `--size` is the number of objects of each kind, `--seed` the survey's.
"""

from __future__ import annotations

from argparse import ArgumentParser
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from torch import nn
from torch.nn import functional

from classifier.calibration import out_of_distribution_p_values
from classifier.networks import Network, build_network
from classifier.strangeness import fit_strangeness, measure_statistics, measure_strangeness
from classifier.training import IMAGE_TRAINING, SPECTRUM_TRAINING, TrainingConfig, train
from esocs.demo.survey.difficulty import Kind
from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.simulated_sky import SEED, Sky, simulate_sky

ALARM = 0.01
TAUGHT_SHARE = 0.6
FOLDS = 5
CEILING_BATCH, CEILING_STEPS = 96, 600
STEPS = {"image": 300, "spectrum": 400}
CONFIGS: dict[str, TrainingConfig] = {"image": IMAGE_TRAINING, "spectrum": SPECTRUM_TRAINING}
# A defect lies over an ordinary object: whoever learned the defect has seen objects of these classes.
BODIES = {"artifact": ("elliptical", "star"), "bad": ("star", "galaxy", "quasar")}
# Told least often: where the peers are measured by default.
HARDEST = {"image": "spiral", "spectrum": "emission-line galaxy"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One class left out.

    Attributes:
        told: Share of it with p below the level.
        alarms: How many of the known raise one.
        known: Of how many.
        ceiling: Share of it told by who has been taught by it.
    """

    kind: Kind
    left_out: str
    told: float
    ceiling: float
    alarms: int
    known: int


def main() -> None:
    arguments = parse_arguments(
        description=__doc__ or "", size=2500, size_help="objects of each kind", add=add_arguments
    )
    kinds: tuple[Kind, ...] = ("image", "spectrum")
    skies = {kind: simulate_sky(kind=kind, count=arguments.size, seed=arguments.seed) for kind in kinds}
    every = [(kind, left_out) for kind in kinds for left_out in range(len(skies[kind].classes))]
    # Spawned: torch's threads do not live through a fork.
    with ProcessPoolExecutor(initializer=torch.set_num_threads, initargs=(1,), mp_context=get_context("spawn")) as pool:
        found = list(pool.map(measure, *zip(*[(skies[kind], kind, left_out) for kind, left_out in every], strict=True)))
    chosen = [one for one in found if arguments.peers or HARDEST[one.kind] == one.left_out]
    peers = {
        (one.kind, one.left_out): measure_peers(skies[one.kind], one.kind, skies[one.kind].classes.index(one.left_out))
        for one in chosen
    }
    none = dict.fromkeys(("energy", "softmax", "accuracy"), float("nan"))
    rows = [
        [
            one.kind,
            one.left_out,
            one.told,
            one.ceiling,
            one.alarms / one.known,
            *peers.get((one.kind, one.left_out), none).values(),
        ]
        for one in found
    ]
    print_table(
        ["kind", "left out", "p < 0.01", "ceiling", "false alarms", "energy", "softmax", "known accuracy"], rows
    )

    def told(*kinds: Kind) -> float:
        return float(np.mean([one.told for one in found if one.kind in kinds]))

    alarms, known = sum(one.alarms for one in found), sum(one.known for one in found)
    scores: dict[str, Any] = {
        name: float(np.mean([rates[name] for rates in peers.values()])) for name in ("energy", "softmax")
    }
    print_result(
        name="out_of_distribution",
        ours=float(np.mean([one.told for one in chosen])),
        peer=max(scores.values()),
        unit="share of a class never met that is told at 1 % false alarms, mean over the classes the peers were given",
        detection_rate=told(*kinds),
        detection_rate_images=told("image"),
        detection_rate_spectra=told("spectrum"),
        worst_class=min(one.told for one in found),
        ceiling=float(np.mean([one.ceiling for one in found])),
        false_alarms=alarms / known,
        **scores,
    )


def add_arguments(parser: ArgumentParser) -> None:
    """What only this benchmark can be told."""
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the survey (default {SEED})")
    parser.add_argument("--peers", action="store_true", help="measure the peers for every class")


def measure(sky: Sky, kind: Kind, left_out: int) -> Found:
    """How often a class left out is told, and the false alarms among the known."""
    strange, taught, held_out = divide(sky, left_out)
    network = build_network(CONFIGS[kind].architecture, {"answers": {"T0": len(np.unique(taught.labels))}}).eval()
    every = np.arange(len(taught.labels))
    _, groups = np.unique(taught.labels, return_inverse=True)
    steps = CONFIGS[kind].strangeness_steps
    fit_strangeness(network, taught.planes, positions=every, groups=groups, steps=steps, seed=1)
    odd, fresh = (
        measure_strangeness(network, part.planes, np.arange(len(part.labels))).astype(np.float64)
        for part in (strange, held_out)
    )
    fold = np.arange(len(fresh)) % FOLDS
    alarms = sum(
        int((out_of_distribution_p_values(fresh[fold == k], fresh[fold != k]) < ALARM).sum()) for k in range(FOLDS)
    )
    told = float((out_of_distribution_p_values(odd, fresh) < ALARM).mean())
    return Found(
        kind=kind,
        left_out=sky.classes[left_out],
        told=told,
        ceiling=measure_ceiling(network, taught, held_out, strange),
        alarms=alarms,
        known=len(fresh),
    )


def measure_ceiling(network: Network, taught: Sky, held_out: Sky, strange: Sky) -> float:
    """Share of one half of the class told, at 1 % false alarms, by a perceptron taught by the other half."""
    known, fresh, odd = (
        network.strangeness.scaled(measure_statistics(network, part.planes, np.arange(len(part.labels)))).clone()
        for part in (taught, held_out, strange)
    )
    torch.manual_seed(1)
    half = len(odd) // 2
    layers = nn.Linear(known.shape[1], 128), nn.GELU(), nn.Dropout(0.2), nn.Linear(128, 1)
    perceptron = nn.Sequential(*layers)
    optimiser = torch.optim.AdamW(perceptron.parameters(), lr=2e-3, weight_decay=0.05)
    truth = torch.cat((torch.zeros(CEILING_BATCH), torch.ones(CEILING_BATCH)))
    for _ in range(CEILING_STEPS):
        a, b = torch.randint(len(known), (CEILING_BATCH,)), torch.randint(half, (CEILING_BATCH,))
        seen = torch.cat((known[a], odd[b]))
        loss = functional.binary_cross_entropy_with_logits(perceptron(seen + 0.1 * torch.randn_like(seen))[:, 0], truth)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
    with torch.inference_mode():
        limit = torch.quantile(perceptron.eval()(fresh), 1 - ALARM)
        return float((perceptron(odd[half:]) > limit).float().mean())


def measure_peers(sky: Sky, kind: Kind, left_out: int) -> dict[str, float]:
    """Detection rates of two scores of a network that was trained without the class, and how good it is."""
    strange, taught, held_out = divide(sky, left_out)
    steps = STEPS[kind]
    config = replace(CONFIGS[kind], hold_out_share=0.0, seed=1, least_steps=steps, most_steps=steps)
    network = train(taught.samples(), config).networks[0]
    odd, fresh = look(network, strange.planes), look(network, held_out.planes)
    rates = {}
    for name, score in (("energy", energy), ("softmax", unsureness)):
        rates[name] = float((score(odd) > np.quantile(score(fresh), 1 - ALARM)).mean())
    answers = np.searchsorted(np.unique(taught.labels), held_out.labels)
    rates["accuracy"] = float((fresh.argmax(axis=1) == answers).mean())
    return rates


def divide(sky: Sky, left_out: int) -> tuple[Sky, Sky, Sky]:
    """The class left out, the known that teach, and the known held out."""
    known = sky.take(~holds_light(sky, left_out))
    taught = round(TAUGHT_SHARE * len(known.labels))
    every = np.arange(len(known.labels))
    return sky.take(sky.labels == left_out), known.take(every[:taught]), known.take(every[taught:])


def holds_light(sky: Sky, class_index: int) -> NDArray[np.bool_]:
    """(N,) whether an object is of the class, is blended with it, or is a defect over objects of it."""
    name = sky.classes[class_index]
    defects = [k for k, other in enumerate(sky.classes) if name in BODIES.get(other, ())]
    blended = sky.hard & (sky.second == class_index)
    return np.asarray((sky.labels == class_index) | blended | np.isin(sky.labels, defects), dtype=np.bool_)


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
