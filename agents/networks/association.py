"""An actor-critic network for DTAssociation-v0 that serves any number of users and servers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from agents.networks.decision import Decision, orthogonal
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association import AssociationTask
from dtenv.tasks.association_slot import Constants
from dtenv.tasks.association_step import Scale


class Loads(NamedTuple):
    """What users would add to servers, (B, U, S), from new data alone (γ = 0)."""

    compute: Tensor  # computation energy over q
    sync: Tensor  # synchronisation energy over p
    energy: Tensor  # total energy over 4 f0, the argument of tanh in (22)
    twins: Tensor  # 1 / U

    def stacked(self) -> Tensor:
        """(B, U, S, 4)."""
        return torch.stack(self, -1)


class Equivariant(nn.Module):
    """Shared encoders of users and servers, scores of user-server pairs, users decided one after another.

    A user's scores see the loads that earlier users' choices leave on every server, with later users assumed
    to stay: a lone move onto an empty server costs, several pay, so users have to coordinate. Any number of
    users and servers; permuting servers permutes the scores.
    """

    nodes, pairs = 64, 16
    """Widths of node and pair layers; the pair layer is the costly one."""

    def __init__(self, scenario: AssociationScenario, values: int = 1):
        super().__init__()
        task = AssociationTask(scenario)
        self.layout, self.scale, self.constants = task.layout, Scale.of(scenario), Constants.of(scenario)
        users, servers, links = (len(block.entries) for block in task.layout.blocks)
        n, p = self.nodes, self.pairs
        self.user_in, self.server_in = orthogonal(nn.Linear(users, n)), orthogonal(nn.Linear(servers, n))
        self.user_mix, self.server_mix = orthogonal(nn.Linear(3 * n, n)), orthogonal(nn.Linear(3 * n, n))
        self.pair_user, self.pair_server = orthogonal(nn.Linear(n, p)), orthogonal(nn.Linear(n, p))
        self.pair_link = orthogonal(nn.Linear(links + 4, p))
        self.pair_load = orthogonal(nn.Linear(13, p))
        self.score = orthogonal(nn.Linear(p, 1), 0.01)
        self.stay = nn.Parameter(torch.tensor(6.0))  # at first, a user moves about once in thirty slots
        self.critic = nn.Sequential(
            orthogonal(nn.Linear(2 * n + 4, n)), nn.Tanh(), orthogonal(nn.Linear(n, n)), nn.Tanh(), nn.Linear(n, values)
        )

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or judge the given actions."""
        view = self.layout.split(obs)
        links = view["links"]
        hosts = links[..., 1]  # (B, U, S)
        own = self.loads(view).stacked()  # (B, U, S, 4)
        user, server = self.encode(view["users"], view["servers"], hosts)
        static = (
            self.pair_user(user)[:, :, None]
            + self.pair_server(server)[:, None]
            + self.pair_link(torch.cat([links, own.clamp(max=3.0)], -1))
        )  # (B, U, S, pairs)
        staying = hosts[..., None] * own  # what each user adds where it is
        resting = staying.sum(1)  # (B, S, 4) if everybody stays
        if action is None:
            action, logits = self.decide(static, own, staying, resting, hosts, greedy)
        else:
            chosen = nn.functional.one_hot(action, hosts.shape[-1])[..., None] * own
            change = chosen - staying
            before = resting[:, None] + change.cumsum(1) - change - staying  # without the user itself
            logits = self.logits(static, before, own, hosts)
        choice = Categorical(logits=logits, validate_args=False)
        state = torch.cat([user.mean(1), server.mean(1), resting.clamp(max=3.0).tanh().mean(1)], -1)
        return Decision(action, choice.log_prob(action), choice.entropy(), self.critic(state).squeeze(-1))

    def decide(
        self, static: Tensor, own: Tensor, staying: Tensor, load: Tensor, hosts: Tensor, greedy: bool
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, U) and the logits (B, U, S) they were drawn from, user by user."""
        actions, all_logits = [], []
        for u in range(hosts.shape[1]):
            load = load - staying[:, u]
            logits = self.logits(static[:, u], load, own[:, u], hosts[:, u])
            if greedy:
                action = logits.argmax(-1)
            else:  # Gumbel's trick: cheaper than a Categorical a user
                action = (logits - torch.empty_like(logits).exponential_().log()).argmax(-1)
            load = load + nn.functional.one_hot(action, hosts.shape[-1])[..., None] * own[:, u]
            actions.append(action)
            all_logits.append(logits)
        return torch.stack(actions, 1), torch.stack(all_logits, 1)

    def logits(self, static: Tensor, load: Tensor, own: Tensor, hosts: Tensor) -> Tensor:
        """Scores (…, S) of a user's servers under the loads (…, S, 4) of the other users."""
        after = load + own
        norm_before, norm_after = load[..., 2:3].tanh(), after[..., 2:3].tanh()  # marginal energy cost of (22)
        shares = after[..., :2]
        broken = [(shares > 1.0).float(), (shares - 1.0).clamp(0.0, 3.0)]  # the two parts of a violation's price
        entries = [
            load.clamp(max=3.0),
            shares.clamp(max=3.0),
            *broken,
            norm_before,
            norm_after,
            norm_after - norm_before,
        ]
        return self.score(torch.relu(static + self.pair_load(torch.cat(entries, -1)))).squeeze(-1) + self.stay * hosts

    def encode(self, users: Tensor, servers: Tensor, hosts: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of users (B, U, nodes) and servers (B, S, nodes) after one exchange along twin links."""
        user, server = torch.relu(self.user_in(users)), torch.relu(self.server_in(servers))
        to_user = [user, hosts @ server, server.mean(1, keepdim=True).expand_as(user)]
        to_server = [server, hosts.transpose(1, 2) @ user, user.mean(1, keepdim=True).expand_as(server)]
        return torch.relu(self.user_mix(torch.cat(to_user, -1))), torch.relu(self.server_mix(torch.cat(to_server, -1)))

    def loads(self, view: dict[str, Tensor]) -> Loads:
        """Physical loads of every user on every server, read back from the observation."""
        c, scale = self.constants, self.scale
        users, servers, links = view["users"], view["servers"], view["links"]
        bits = users[..., 4] * scale.samples * c.bits_per_sample  # (B, U)
        compute_capacity = servers[..., 3] * scale.compute_capacity  # (B, S)
        sync_capacity = servers[..., 4] * scale.sync_capacity
        cycles = servers[..., 2] * scale.cycles_per_bit
        compute = c.n_cmp * c.epochs * bits[..., None] * cycles[:, None]
        sync = c.n_syn / c.rate_bps * bits[..., None] * 2.0 * scale.area_m * links[..., 0]
        moved = (bits if c.migrate_current_data else 0.0) + users[..., 6] * scale.twin_bits
        migration = c.n_mig * moved[..., None] * 2.0 * scale.area_m * links[..., 2]
        energy = (compute + sync + migration) / (4.0 * c.f0)
        twins = torch.full_like(energy, 1.0 / energy.shape[1])
        return Loads(compute / compute_capacity[:, None], sync / sync_capacity[:, None], energy, twins)
