"""Actor-critic network for DTAssociation-v0 that serves any number of users and servers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from agents.networks.decision import Decision, orthogonal
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association.entries import LINK, SERVER, USER
from dtenv.tasks.association.kernels import Scale
from dtenv.tasks.association.slot import Constants
from dtenv.tasks.association.task import AssociationTask

MARGIN = 1e-5
"""Margin below its limit within which a share counts as exceeding it: the precision of float32 observations."""

MASKED = -1e4
"""Logit of a server that would break a constraint while another would not."""


def unbiased(inputs: int, outputs: int) -> nn.Linear:
    """An orthogonal linear layer without bias."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.orthogonal_(layer.weight, math.sqrt(2.0))
    return layer


def planes(entries: Tensor) -> Tensor:
    """Entries (…, F) as (F, …), each contiguous in memory."""
    return entries.movedim(-1, 0).contiguous()


def one_hot(action: Tensor, own: Tensor) -> Tensor:
    """Load (…, S) that users add by choosing servers (…): `own` there, 0 elsewhere."""
    return (action[..., None] == torch.arange(own.shape[-1], device=own.device)) * own


class Equivariant(nn.Module):
    """Shared encoders of users and servers, scores of user-server pairs, users decided one after another.

    A user's scores depend on the loads of every server after the choices of earlier users, with later users assumed
    to stay: a single move onto an empty server costs, several pay, so users have to coordinate. Permuting servers
    permutes the scores.
    """

    nodes, pairs = 64, 16
    """Widths of node and pair layers; the pair layer takes most of the time."""

    def __init__(self, scenario: AssociationScenario, values: int = 1):
        super().__init__()
        task = AssociationTask(scenario)
        self.layout, self.scale, self.constants = task.layout, Scale.of(scenario), Constants.of(scenario)
        self.transfer = self.constants.transfer / (4.0 * self.constants.f0)
        users, servers, links = (len(block.entries) for block in task.layout.blocks)
        n, p = self.nodes, self.pairs
        self.user_in, self.server_in = orthogonal(nn.Linear(users, n)), orthogonal(nn.Linear(servers, n))
        self.user_mix, self.server_mix = orthogonal(nn.Linear(3 * n, n)), orthogonal(nn.Linear(3 * n, n))
        self.pair_user, self.pair_server = orthogonal(nn.Linear(n, p)), orthogonal(nn.Linear(n, p))
        self.pair_link, self.pair_load = unbiased(links + 4, p), unbiased(10, p)
        self.score = orthogonal(nn.Linear(p, 1), 0.01)
        self.stay = nn.Parameter(torch.tensor(6.0))  # initially, a user moves about once in thirty slots
        self.critic = nn.Sequential(
            orthogonal(nn.Linear(2 * n + 4, n)), nn.Tanh(), orthogonal(nn.Linear(n, n)), nn.Tanh(), nn.Linear(n, values)
        )

    def forward(self, obs: Tensor | dict[str, Tensor], action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or evaluate the given actions. Observations are flat (B, size), or their blocks by name."""
        view = obs if isinstance(obs, dict) else self.layout.split(obs)
        links = planes(view["links"])  # (4, B, U, S)
        hosts = links[LINK.hosts]
        own = self.loads(view)  # (4, B, U, S)
        user, server = self.encode(view["users"], view["servers"], hosts)
        link = self.pair_link.weight @ torch.cat([links, own.clamp(max=3.0)]).flatten(1)
        nodes = planes(self.pair_user(user))[..., None] + planes(self.pair_server(server))[:, :, None]
        static = link.view(nodes.shape) + nodes  # (pairs, B, U, S)
        staying = hosts * own  # load of each user at its host
        resting = staying.sum(2)  # (4, B, S) if all stay
        if action is None:
            action, logits = self.decide(static, own, staying, resting, hosts, greedy)
        else:
            chosen = one_hot(action, own)
            change = chosen - staying
            before = resting[:, :, None] + change.cumsum(2) - change - staying  # without the user itself
            settled = chosen[:2].cumsum(2) - chosen[:2]
            logits = self.logits(static, before, settled, own, hosts)
        choice = Categorical(logits=logits, validate_args=False)
        state = [user.mean(1), server.mean(1), resting.clamp(max=3.0).tanh().mean(2).T]
        value = self.critic(torch.cat(state, -1)).squeeze(-1)
        return Decision(action, choice.log_prob(action), choice.entropy(), value)

    def decide(
        self, static: Tensor, own: Tensor, staying: Tensor, load: Tensor, hosts: Tensor, greedy: bool
    ) -> tuple[Tensor, Tensor]:
        """Decide user by user; returns actions (B, U) and their logits (B, U, S)."""
        actions, all_logits = [], []
        settled = torch.zeros_like(load[:2])
        for u in range(hosts.shape[1]):
            load = load - staying[:, :, u]
            logits = self.logits(static[:, :, u], load, settled, own[:, :, u], hosts[:, u])
            if greedy:
                action = logits.argmax(-1)
            else:  # Gumbel trick, faster than a Categorical per user
                action = (logits - torch.empty_like(logits).exponential_().log()).argmax(-1)
            added = one_hot(action, own[:, :, u])
            load, settled = load + added, settled + added[:2]
            actions.append(action)
            all_logits.append(logits)
        return torch.stack(actions, 1), torch.stack(all_logits, 1)

    def logits(self, static: Tensor, load: Tensor, settled: Tensor, own: Tensor, hosts: Tensor) -> Tensor:
        """Scores (…, S) of a user's servers under the loads (4, …, S) of the other users.

        Servers that would break a constraint under the shares (2, …, S) of earlier users alone are masked, unless all
        would: no later user can undo that.
        """
        after = load + own
        excess = after[:2] - 1.0
        breaks = (settled + own[:2] > 1.0 - MARGIN).any(0)
        before, then = load[2], after[2]
        if self.transfer > 0.0:  # of a server's model, once it hosts any twin
            before, then = before + self.transfer * (load[3] > 0.5 * own[3]), then + self.transfer
        norms = torch.stack([before, then]).tanh()  # cost of energy (22), before and after
        violated = (excess > 0.0).float()  # a violation and its size: the two parts of its price
        entries = torch.cat([load.clamp(max=3.0), violated, excess.clamp(0.0, 3.0), norms])
        pair = self.pair_load.weight @ entries.flatten(1)
        pair += static.flatten(1)  # in place: the largest array here
        scores = (self.score.weight @ pair.relu_()).view(after.shape[1:]) + self.score.bias + self.stay * hosts
        return scores.masked_fill(breaks & ~breaks.all(-1, keepdim=True), MASKED)

    def encode(self, users: Tensor, servers: Tensor, hosts: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of users (B, U, nodes) and servers (B, S, nodes) after one exchange along twin links."""
        user, server = torch.relu(self.user_in(users)), torch.relu(self.server_in(servers))
        to_user = [user, hosts @ server, server.mean(1, keepdim=True).expand_as(user)]
        to_server = [server, hosts.transpose(1, 2) @ user, user.mean(1, keepdim=True).expand_as(server)]
        return torch.relu(self.user_mix(torch.cat(to_user, -1))), torch.relu(self.server_mix(torch.cat(to_server, -1)))

    def loads(self, view: dict[str, Tensor]) -> Tensor:
        """Loads (4, B, U, S) that users would add to servers by new data alone (γ = 0), from the observation.

        Computation energy over q, synchronisation energy over p, total energy over 4 f0 (the argument of tanh in (22))
        and 1 / U.
        """
        c, scale = self.constants, self.scale
        users, servers, links = view["users"], view["servers"], view["links"]
        bits = users[..., USER.samples] * scale.samples * c.bits_per_sample  # (B, U)
        compute_capacity = servers[..., SERVER.compute_capacity] * scale.compute_capacity  # (B, S)
        sync_capacity = servers[..., SERVER.sync_capacity] * scale.sync_capacity
        cycles = servers[..., SERVER.cycles_per_bit] * scale.cycles_per_bit
        compute = c.n_cmp * c.epochs * bits[..., None] * cycles[:, None]
        sync = c.n_syn / c.rate_bps * bits[..., None] * 2.0 * scale.area_m * links[..., LINK.distance]
        moved = (bits if c.migrate_current_data else 0.0) + users[..., USER.twin_bits] * scale.twin_bits
        migration = c.n_mig * moved[..., None] * 2.0 * scale.area_m * links[..., LINK.move_distance]
        energy = (compute + sync + migration) / (4.0 * c.f0)
        twins = torch.full_like(energy, 1.0 / energy.shape[1])
        return torch.stack([compute / compute_capacity[:, None], sync / sync_capacity[:, None], energy, twins])
