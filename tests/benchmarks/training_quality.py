"""How good networks get on the simulated survey at the demonstration's sizes, beside one four times larger.

By default 3,000 images and 1,000 spectra are simulated, and as many again of which no network sees a label but to be
measured. Of the survey, what the demonstration reserves for calibration (15 % of the images, a quarter of the spectra)
fits the temperature; the rest is trained on as the training room does. The peer has twice the width, hence four times
the weights, and twice the steps, after which its loss no longer falls. `--size` is the number of images; spectra are a
third of it. The peer takes most of the time: `--kind` measures one of the two alone, `--without-peer` only ours.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

import numpy as np

from classifier.calibration import fit_temperature, measure_reliability
from classifier.evaluation import accuracy
from classifier.inference import Predictor
from classifier.networks import count_weights
from classifier.training import IMAGE_TRAINING, SPECTRUM_TRAINING, TrainingConfig, train
from esocs.demo.survey.difficulty import Kind
from tests.benchmarks.report import Timer, parse_arguments, print_result, print_table
from tests.benchmarks.simulated_sky import Sky, simulate_sky

CALIBRATION_SHARE = {"image": 0.15, "spectrum": 0.25}
PEER_STEPS = 2
PEER_WIDTHS: dict[str, dict[str, Any]] = {
    "image": {"stem_widths": (32, 64), "widths": (128, 256)},
    "spectrum": {"stem_widths": (48, 96), "widths": (128, 256)},
}
CONFIGS: dict[str, TrainingConfig] = {"image": IMAGE_TRAINING, "spectrum": SPECTRUM_TRAINING}


def main() -> None:
    arguments = parse_arguments(
        description=__doc__ or "", size=3000, size_help="images; a third as many spectra", add=add_arguments
    )
    counts: dict[Kind, int] = {"image": arguments.size, "spectrum": arguments.size // 3}
    rows, found = [], {}
    for kind, count in counts.items():
        if arguments.kind not in {None, kind}:
            continue
        sky = simulate_sky(kind=kind, count=count)
        unseen = simulate_sky(kind=kind, count=max(count, 1000), first=count)
        ours = measure(sky, unseen, CONFIGS[kind], calibration=CALIBRATION_SHARE[kind])
        print(kind, "ours", *ours.values(), flush=True)
        peer = None
        if not arguments.without_peer:
            steps = PEER_STEPS * int(ours["steps"])
            larger = replace(CONFIGS[kind], arguments=PEER_WIDTHS[kind], least_steps=steps, most_steps=steps)
            peer = measure(sky, unseen, larger, calibration=CALIBRATION_SHARE[kind])
            print(kind, "4 x larger", *peer.values(), flush=True)
        found[kind] = ours, peer
        rows += [[kind, who, *result.values()] for who, result in (("ours", ours), ("4 x larger", peer)) if result]
    print_table(["kind", "network", *next(iter(found.values()))[0]], rows)
    both = list(found.values())
    peers = [peer["overall"] for _, peer in both if peer]
    keys: dict[str, Any] = {
        f"{kind}_{name}": ours[column]
        for kind, (ours, _) in found.items()
        for name, column in (("accuracy", "above S/N"), ("accuracy_easy", "easy"), ("training_cpu_s", "CPU s"))
    }
    print_result(
        name="training_quality",
        ours=float(np.mean([ours["overall"] for ours, _ in both])),
        peer=float(np.mean(peers)) if peers else None,
        unit="accuracy overall, hard ones included, mean of images and spectra",
        gap_to_large=max((peer["overall"] - ours["overall"] for ours, peer in both if peer), default=None),
        ece=max(ours["ECE"] for ours, _ in both),
        **keys,
    )


def add_arguments(parser: ArgumentParser) -> None:
    """What only this benchmark can be told."""
    parser.add_argument("--kind", choices=("image", "spectrum"), help="measure these alone (default both)")
    parser.add_argument("--without-peer", action="store_true", help="leave the larger network out")


def measure(sky: Sky, unseen: Sky, config: TrainingConfig, *, calibration: float) -> dict[str, float]:
    """Train, calibrate on the reserved share, and measure on objects that nobody has learned from."""
    reserved = round(calibration * len(sky.labels))
    trained_on, blind = sky.take(np.arange(reserved, len(sky.labels))), sky.take(np.arange(reserved))
    samples = trained_on.samples()
    with Timer() as timer:
        trained = train(samples, replace(config, hold_out_share=0.0, seed=1))
    predictor = Predictor(trained.networks, questions=samples.questions, views=config.views)
    temperature = fit_temperature(predictor.predict(blind.planes).probabilities["T0"], blind.labels)
    p = temperature.apply(predictor.predict(unseen.planes).probabilities["T0"])
    return {
        "overall": accuracy(p, unseen.labels),
        "above S/N": accuracy(p[unseen.above], unseen.labels[unseen.above]),
        "easy": accuracy(p[~unseen.hard], unseen.labels[~unseen.hard]),
        "ECE": measure_reliability(p, unseen.labels).expected_calibration_error,
        "temperature": temperature.value,
        "weights": count_weights(trained.networks[0]),
        "steps": trained.steps,
        "loss": trained.history[-1].loss,
        "CPU s": timer.cpu_s,
        "wall s": timer.wall_s,
    }


if __name__ == "__main__":
    main()
