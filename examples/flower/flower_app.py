"""The federation of `dtenv.fl.federation` as a Flower app, for clients that are processes or machines of their own.

Flower (flwr 1.41 was tried) wants other versions of some packages than dtenv's other extras do: install it into an
environment of its own (README.md). A run's settings stand in pyproject.toml. Every client works out its own data and
batches from the seed, so that the global weights are those of `federate`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg, FedMedian, FedTrimmedAvg, MultiKrum

from dtenv.fl.data.clients import Clients, draw_clients
from dtenv.fl.data.images import Images, load_images
from dtenv.fl.streams import Streams
from dtenv.fl.training.local_sgd import LocalTraining, draw_batches, train
from dtenv.fl.training.network import Perceptron, class_accuracy

STRATEGIES = ("mean", "median", "trimmed-mean", "multi-krum")
"""How the server aggregates, by Flower's own strategies."""

client = ClientApp()
server = ServerApp()


class Setting:
    """What both sides work out from a run's configuration."""

    def __init__(self, config: Any) -> None:
        self.images: Images = load_images(str(config["data"]))
        self.clients = int(config["clients"])
        self.streams = Streams.of([int(config["seed"])])
        self.network = Perceptron(
            inputs=self.images.pixels, classes=self.images.classes, hidden=(int(config["hidden"]),)
        )
        self.local = LocalTraining(
            epochs=int(config["epochs"]),
            batch=int(config["batch"]),
            learning_rate=float(config["learning-rate"]),
            momentum=float(config["momentum"]),
        )
        self.held: Clients = draw_clients(
            self.images,
            str(config["skew"]),
            [float(config["emd"])],
            int(config["samples"]),
            self.clients,
            self.streams,
        )


@client.train()
def train_client(message: Message, context: Context) -> Message:
    """One round of one client: weights in, weights out, with its number of samples and its loss."""
    setting = Setting(context.run_config)
    own, nodes = int(context.node_config["partition-id"]), int(context.node_config["num-partitions"])
    if nodes != setting.clients:
        raise ValueError(f"clients must be the number of nodes, {nodes}, got {setting.clients}")
    for _ in range(int(message.content["config"]["server-round"])):  # draws what earlier rounds drew
        places, counted = draw_batches(setting.streams.generators["batches"], setting.held.sizes, setting.local)
    start = torch.from_numpy(message.content["arrays"].to_numpy_ndarrays()[0])[None]
    weights, loss = train(
        setting.network,
        start,
        setting.images.x,
        setting.held.targets[0, own][None],
        setting.held.index[0, own][None],
        (places[own][None], counted[own][None]),
        setting.local,
    )
    if not bool(torch.isfinite(loss).all()):
        raise FloatingPointError(f"loss of client {own} is no longer finite; lower learning-rate")
    metrics = MetricRecord({"loss": float(loss[0]), "num-examples": int(setting.held.sizes[0, own])})
    content = RecordDict({"arrays": ArrayRecord([weights[0].numpy()]), "metrics": metrics})
    return Message(content=content, reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    """All rounds, with the accuracy of the global weights after each; the weights are saved where `out` says."""
    config = context.run_config
    setting = Setting(config)
    test = setting.images.balanced_test(2000)

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        weights = torch.from_numpy(arrays.to_numpy_ndarrays()[0])[None]
        accuracy = float(class_accuracy(setting.network, weights, *test).mean())
        return MetricRecord({"accuracy": accuracy})

    shared: dict[str, Any] = {
        "fraction_evaluate": 0.0,
        "min_train_nodes": setting.clients,
        "min_available_nodes": setting.clients,
    }
    name, bad = str(config["strategy"]), int(config["attackers"])
    strategy = {
        "mean": lambda: FedAvg(**shared),
        "median": lambda: FedMedian(**shared),
        "trimmed-mean": lambda: FedTrimmedAvg(beta=bad / setting.clients, **shared),
        "multi-krum": lambda: MultiKrum(num_malicious_nodes=bad, num_nodes_to_select=setting.clients - bad, **shared),
    }
    if name not in strategy:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, got {name!r}")
    first = ArrayRecord([setting.network.initial(setting.streams.generators["weights"][0]).numpy()])
    result = strategy[name]().start(
        grid=grid, initial_arrays=first, num_rounds=int(config["rounds"]), evaluate_fn=evaluate
    )
    if config["out"]:
        np.save(str(config["out"]), result.arrays.to_numpy_ndarrays()[0])
