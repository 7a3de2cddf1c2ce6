"""One training, to be read from top to bottom: labelled subjects in, a network and what it is worth out."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.augmentation import ImageAugmentation, SpectrumAugmentation
from classifier.data import Question, Samples, shuffled_batches, split_hold_out, training_weights
from classifier.errors import EsocsError
from classifier.evaluation import accuracy, log_loss
from classifier.inference import Predictor, default_device
from classifier.networks import Network, build_network
from classifier.networks.heads import dirichlet_multinomial_loss
from classifier.optimisation import Muon, split_weights
from classifier.strangeness import fit_strangeness, measure_strangeness

# Of what is trained on, kept from learning what is known: the more, the finer the p-values.
STRANGENESS_HOLD_OUT = 1 / 3
# Far enough apart that the members of two ensembles with neighbouring seeds have no network in common.
MEMBER_SEED_STEP = 100_003


class TrainingDataError(EsocsError):
    """There is not enough to learn from."""

    code = "training_data"
    status = 422


class TrainingDivergedError(EsocsError):
    """The loss stopped being a number."""

    code = "training_diverged"
    status = 500


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Everything a training depends on besides its samples: same samples, config and threads, same weights.

    Attributes:
        architecture: Key of `classifier.networks.ARCHITECTURES`.
        arguments: Arguments of the network besides its answers.
        augmentation: Random variations of the planes.
        epochs: Times each subject is seen, within the limits on steps.
        least_steps: A small set is seen more often, so that this many steps are made.
        most_steps: A large set is seen less often; bounds the time.
        batch_size: Subjects a step.
        learning_rate: Of AdamW, at the peak of the cycle.
        matrix_learning_rate: Of Muon, which moves the matrices of hidden layers, likewise.
        warm_up_share: Share of the steps in which the rate rises to its peak, before it falls as a cosine.
        warm_start_factor: Factor on the learning rates when an earlier network is continued.
        weight_decay: On matrices and kernels, times the learning rate.
        average_decay: Decay per step of the running average of the weights; that average is the result.
        class_balance: 0 keeps the frequencies of the answers, 1 weighs all answers alike.
        hold_out_share: Share of the samples kept out to measure the result.
        strangeness_steps: Of the perceptron that learns what is known (`classifier.strangeness`).
        members: Networks of an ensemble, which differ by their seeds; each costs a whole training.
        views: Dihedral views averaged when the held-out share is measured.
        seed: Of the weights, the order, the augmentation and the split.
        device: "cuda", "cpu"; chosen when None.
    """

    architecture: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    augmentation: ImageAugmentation | SpectrumAugmentation
    epochs: float = 20
    least_steps: int = 200
    most_steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 4e-3
    matrix_learning_rate: float = 2e-2
    warm_up_share: float = 0.15
    warm_start_factor: float = 0.5
    weight_decay: float = 0.05
    average_decay: float = 0.98
    class_balance: float = 0.5
    hold_out_share: float = 0.1
    strangeness_steps: int = 1000
    members: int = 1
    views: int = 1
    seed: int = 0
    device: str | None = None

    def steps(self, count: int) -> int:
        """Optimiser steps for `count` subjects trained on."""
        return min(max(math.ceil(self.epochs * count / self.batch_size), self.least_steps), self.most_steps)


IMAGE_TRAINING = TrainingConfig(architecture="image-convnext-3", augmentation=ImageAugmentation(), most_steps=600)
SPECTRUM_TRAINING = TrainingConfig(
    architecture="spectrum-convnext-3",
    augmentation=SpectrumAugmentation(),
    least_steps=500,
)


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands: `loss` is the mean since the last report, `step` counts from 1 to `steps`."""

    step: int
    steps: int
    loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class HoldOut:
    """The subjects kept out of a training, and what the result says about them.

    Attributes:
        subject_ids: (M,).
        labels: Question name to (M,) the answer with most votes, -1 where not asked.
        probabilities: Question name to (M, K), before temperature scaling.
        accuracy: Question name to the share of right answers, NaN where nobody was asked.
        log_loss: Question name to the mean -log p of the right answer, nat; NaN likewise.
    """

    subject_ids: NDArray[np.int64]
    labels: dict[str, NDArray[np.int64]]
    probabilities: dict[str, NDArray[np.float32]]
    accuracy: dict[str, float]
    log_loss: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """The result of a training.

    Attributes:
        networks: One, or the members of the ensemble, on the CPU, in evaluation mode.
        questions: Name and answers of its heads.
        config: What it was trained with.
        trained_ids: (N,) sorted ids of every subject whose votes it has seen, the held-out ones included:
            none of them may calibrate it.
        hold_out: The early measure.
        known_strangeness: (n,) float32, rising: how strange to the first network those are that it was not taught to
            know. They are held out, or a third of what it was trained on.
        history: The reports on the way.
        steps: Optimiser steps of all members.
        seconds: Wall time.
    """

    networks: tuple[Network, ...]
    questions: tuple[Question, ...]
    config: TrainingConfig
    trained_ids: NDArray[np.int64]
    hold_out: HoldOut
    known_strangeness: NDArray[np.float32]
    history: tuple[TrainingProgress, ...]
    steps: int
    seconds: float

    def facts(self) -> dict[str, Any]:
        """What the weights card remembers, as JSON."""
        config = asdict(self.config)
        config["arguments"] = dict(self.config.arguments)
        return {
            "config": config,
            "subjects": len(self.trained_ids),
            "held_out": len(self.hold_out.subject_ids),
            "accuracy": {name: _number(value) for name, value in self.hold_out.accuracy.items()},
            "log_loss": {name: _number(value) for name, value in self.hold_out.log_loss.items()},
            "steps": self.steps,
            "seconds": round(self.seconds, 2),
            "torch": torch.__version__,
        }


def train(
    samples: Samples,
    config: TrainingConfig,
    progress: Callable[[TrainingProgress], None] | None = None,
    *,
    warm_start: Network | None = None,
) -> TrainedNetwork:
    """Trains a network, or the members of an ensemble one after the other, on votes.

    Args:
        samples: Labelled subjects; gold and audit subjects must not be among them.
        config: How.
        progress: Called some fifty times a member; an exception in it ends the training.
        warm_start: An earlier network; what has the same name and shape is taken over, the rest starts anew.

    Raises:
        TrainingDataError: Fewer than two answers occur, or the planes do not suit the architecture.
        TrainingDivergedError: The loss is no longer finite.
    """
    started = time.perf_counter()
    train_at, hold_out_at = split_hold_out(samples, share=config.hold_out_share, seed=config.seed)
    steps = config.steps(len(train_at))
    history: list[TrainingProgress] = []

    def report(done: int, step: int, loss: float) -> None:
        history.append(TrainingProgress(done + step, steps * config.members, loss, time.perf_counter() - started))
        if progress is not None:
            progress(history[-1])

    networks = [
        _train_member(
            samples,
            config,
            positions=train_at,
            seed=config.seed + MEMBER_SEED_STEP * member,
            warm_start=warm_start,
            report=partial(report, member * steps),
        )
        for member in range(config.members)
    ]
    known_strangeness = _learn_what_is_known(networks[0], samples, train_at, hold_out_at, config)
    return TrainedNetwork(
        networks=tuple(networks),
        questions=samples.questions,
        config=config,
        trained_ids=np.sort(samples.subject_ids),
        hold_out=_measure(networks, samples, hold_out_at, config),
        known_strangeness=known_strangeness,
        history=tuple(history),
        steps=steps * config.members,
        seconds=time.perf_counter() - started,
    )


def _train_member(
    samples: Samples,
    config: TrainingConfig,
    *,
    positions: NDArray[np.int64],
    seed: int,
    warm_start: Network | None,
    report: Callable[[int, float], None],
) -> Network:
    """One network on the CPU, in evaluation mode.

    Muon (Jordan et al. 2024) on the matrices of hidden layers and AdamW (Loshchilov & Hutter 2019) on the rest, one
    cycle of the learning rates (Smith & Topin 2019), the Dirichlet-multinomial loss weighted by selection and class,
    and a running average of the weights.
    """
    device = torch.device(config.device or default_device())
    # All chance flows from the seed, and the caller's own random state is left as it was.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        network = _begin(samples, config, warm_start).to(device).train()
        average = copy.deepcopy(network).eval()
        weights = training_weights(
            samples.majority(samples.questions[0].name)[positions],
            samples.weights[positions],
            class_balance=config.class_balance,
        )
        optimisers = _optimisers(network, config)
        pace = config.warm_start_factor if warm_start is not None else 1.0
        steps = config.steps(len(positions))
        batches = shuffled_batches(
            count=len(positions), batch_size=config.batch_size, steps=steps, rng=np.random.default_rng(seed)
        )
        recent_losses: list[float] = []
        for step, batch in enumerate(batches, start=1):
            planes = torch.from_numpy(samples.planes[positions[batch]].astype(np.float32)).to(device)
            votes = {name: torch.from_numpy(counts[positions[batch]]) for name, counts in samples.votes.items()}
            loss = _loss(network, config.augmentation(planes, generator), votes, torch.from_numpy(weights[batch]))
            _step(network, loss, optimisers, pace=pace * _cycle(step / steps, config.warm_up_share))
            # The average forgets the random start quickly, then slows down to its decay.
            _move_average(average, network, decay=min(config.average_decay, step / (step + 10)))

            recent_losses.append(loss.item())
            if not math.isfinite(recent_losses[-1]):
                raise TrainingDivergedError(
                    f"The loss is {recent_losses[-1]} at step {step} of {steps}.",
                    hint="Lower the learning rate, or look for planes far out of range.",
                )
            if step % max(1, steps // 50) == 0 or step == steps:
                report(step, float(np.mean(recent_losses)))
                recent_losses.clear()
    return average.cpu().eval()


def _learn_what_is_known(
    network: Network,
    samples: Samples,
    train_at: NDArray[np.int64],
    hold_out_at: NDArray[np.int64],
    config: TrainingConfig,
) -> NDArray[np.float32]:
    """Fits the network's strangeness; returns that of known subjects it has not seen, rising.

    The statistics that it rests on are not learned, so those that taught the network its answers may be among them.
    """
    answers = samples.majority(samples.questions[0].name)
    apart, unseen = split_hold_out(samples.take(train_at), share=STRANGENESS_HOLD_OUT, seed=config.seed + 1)
    known_at = train_at[apart]
    known_at = known_at[answers[known_at] >= 0]
    fit_strangeness(
        network,
        samples.planes,
        positions=known_at,
        groups=answers[known_at],
        steps=config.strangeness_steps,
        seed=config.seed,
    )
    held_out_at = np.sort(np.concatenate((train_at[unseen], hold_out_at)))
    return np.sort(measure_strangeness(network, samples.planes, held_out_at))


def _begin(samples: Samples, config: TrainingConfig, warm_start: Network | None) -> Network:
    answers = {question.name: len(question.answers) for question in samples.questions}
    network = build_network(config.architecture, {**config.arguments, "answers": answers})
    _check(samples, network)
    if warm_start is not None:
        _take_over(network, warm_start)
    return network


def _loss(network: Network, planes: Tensor, votes: Mapping[str, Tensor], weights: Tensor) -> Tensor:
    """The mean over the batch of the weighted sum over the questions."""
    logits, log_concentration = network.concentrations(planes)
    total = torch.zeros(len(planes), device=planes.device)
    for name, counts in votes.items():
        total = total + dirichlet_multinomial_loss(logits[name], log_concentration[name], counts.to(planes.device))
    return (total * weights.to(planes.device)).mean()


def _step(
    network: Network, loss: Tensor, optimisers: Sequence[tuple[torch.optim.Optimizer, float]], *, pace: float
) -> None:
    network.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimiser, peak in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = pace * peak
        optimiser.step()


def _check(samples: Samples, network: Network) -> None:
    shape = samples.planes.shape[1:]
    if shape != network.plane_shape:
        raise TrainingDataError(f"{network.architecture} takes planes {network.plane_shape}, not {shape}.")
    for question in samples.questions:
        labels = samples.majority(question.name)
        if len(np.unique(labels[labels >= 0])) < 2:
            raise TrainingDataError(
                f"The subjects give fewer than two different answers to {question.name!r}.",
                hint="Label more subjects first.",
            )


def _take_over(network: Network, earlier: Network) -> None:
    state = network.state_dict()
    same = {n: v for n, v in earlier.state_dict().items() if n in state and state[n].shape == v.shape}
    network.load_state_dict({**state, **same})


def _optimisers(network: Network, config: TrainingConfig) -> list[tuple[torch.optim.Optimizer, float]]:
    """Each with its learning rate at the peak of the cycle."""
    matrices, others, vectors = split_weights(network)
    # Biases, norms and scales are not decayed: shrinking them towards zero means nothing.
    groups = [{"params": others, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [
        (Muon(matrices, lr=config.matrix_learning_rate, weight_decay=config.weight_decay), config.matrix_learning_rate),
        (torch.optim.AdamW(groups, lr=config.learning_rate), config.learning_rate),
    ]


def _cycle(done: float, warm_up_share: float) -> float:
    if done < warm_up_share:
        return done / warm_up_share
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up_share) / (1 - warm_up_share)))


@torch.no_grad()
def _move_average(average: Network, network: Network, *, decay: float) -> None:
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    # Statistics of a batch normalisation, which some of timm's encoders have, are averages already.
    for kept, statistic in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(statistic)


def _measure(
    networks: Sequence[Network], samples: Samples, positions: NDArray[np.int64], config: TrainingConfig
) -> HoldOut:
    predictor = Predictor(networks, questions=samples.questions, views=config.views, device=config.device, read_ahead=0)
    predictions = predictor.predict(np.asarray(samples.planes[positions]))
    labels = {q.name: samples.majority(q.name)[positions] for q in samples.questions}
    measured: dict[str, dict[str, float]] = {"accuracy": {}, "log_loss": {}}
    for name, truth in labels.items():
        asked = truth >= 0
        probabilities = predictions.probabilities[name][asked]
        measured["accuracy"][name] = accuracy(probabilities, truth[asked]) if asked.any() else math.nan
        measured["log_loss"][name] = log_loss(probabilities, truth[asked]) if asked.any() else math.nan
    return HoldOut(
        subject_ids=samples.subject_ids[positions],
        labels=labels,
        probabilities=predictions.probabilities,
        accuracy=measured["accuracy"],
        log_loss=measured["log_loss"],
    )


def _number(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
