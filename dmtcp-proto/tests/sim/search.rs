//! Every order of what can happen in a small world, breadth first.
//!
//! What a process reads it reads at once: that is seen by nobody else, and what it has sent waits
//! as long as it may. So an order in which it reads late is one in which its messages arrive late.
//! Time goes on where nothing else can happen, or earlier where the plan says so.

use dmtcp_proto::{AfterCheckpoint, Command, CoordinatorConfig, Dialect, Survivors};
use std::collections::HashMap;
use std::time::Duration;

use crate::checker::{Rule, Violation};
use crate::network::Owner;
use crate::process::Birth;
use crate::sabotage::Saboteur;
use crate::world::World;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The first message of a connection, or its end, reaches the coordinator.
    Up(u64),
    /// A driver finishes what it was asked for.
    Act(usize),
    /// A process dies; so many of its messages still arrive.
    Crash(usize, usize),
    Fork(usize),
    Exec(usize),
    /// The next one of the plan asks.
    Ask(usize),
    /// The embedding program waits no longer for this worker, or for all, in this round.
    GiveUp(Option<u64>, u64, Survivors),
    Launch,
    Seal(bool),
    Wake,
}

/// Somebody who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    Tool(Command),
    /// The embedding program, which has no wire.
    Program(Command),
}

/// A small world, and what may happen in it how often.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) dialect: Dialect,
    /// A worker on each of these hosts.
    pub(crate) hosts: &'static [&'static str],
    /// Who asks for something, at any time, one after the other.
    pub(crate) asks: &'static [Ask],
    pub(crate) crashes: usize,
    pub(crate) forks: usize,
    pub(crate) execs: usize,
    pub(crate) launches: usize,
    pub(crate) failed_seals: usize,
    pub(crate) early_wakes: usize,
    pub(crate) give_ups: usize,
    pub(crate) sabotage: Saboteur,
}

impl Plan {
    pub(crate) const fn new(
        dialect: Dialect,
        hosts: &'static [&'static str],
        asks: &'static [Ask],
    ) -> Self {
        Self {
            dialect,
            hosts,
            asks,
            crashes: 0,
            forks: 0,
            execs: 0,
            launches: 0,
            failed_seals: 0,
            early_wakes: 0,
            give_ups: 0,
            sabotage: Saboteur::NONE,
        }
    }
}

#[derive(Clone, Debug)]
struct State {
    world: World,
    asked: usize,
    crashes: usize,
    forks: usize,
    execs: usize,
    launches: usize,
    failed_seals: usize,
    early_wakes: usize,
    give_ups: usize,
}

/// What a search has seen.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    pub(crate) depth: usize,
    /// States in which nothing more happens by itself.
    pub(crate) quiet: usize,
    pub(crate) violation: Option<(Violation, Vec<Action>)>,
}

/// Looks at every state; ends at the first violation, which no shorter way leads to.
pub(crate) fn search(plan: &Plan) -> Found {
    let mut found = Found::default();
    // Where each state was reached from.
    let mut seen: HashMap<u128, (u128, Option<Action>)> = HashMap::new();
    let first = State::new(plan);
    let hash = first.hash();
    seen.insert(hash, (hash, None));
    let mut frontier = vec![(hash, first)];
    while !frontier.is_empty() {
        let mut next = Vec::new();
        for (hash, state) in frontier {
            found.states += 1;
            let actions = state.actions(plan);
            let own = |action: &Action| !is_chance(*action);
            if !actions.iter().any(own) {
                found.quiet += 1;
                if let Err(violation) = state.probe() {
                    found.violation = Some((violation, path(&seen, hash)));
                    return found;
                }
            }
            for action in actions {
                found.steps += 1;
                let mut after = state.clone();
                after.apply(action, plan);
                if let Some(violation) = after.world.checker.violation {
                    let mut path = path(&seen, hash);
                    path.push(action);
                    found.violation = Some((violation, path));
                    return found;
                }
                let reached = after.hash();
                seen.entry(reached).or_insert_with(|| {
                    next.push((reached, after));
                    (hash, Some(action))
                });
            }
        }
        found.depth += usize::from(!next.is_empty());
        frontier = next;
    }
    found
}

/// The same way again, with a timeline.
pub(crate) fn retell(plan: &Plan, path: &[Action]) -> Vec<String> {
    let mut state = State::new(plan);
    state.world.record.timeline = Some(Vec::new());
    for &action in path {
        state.world.note(|| format!("--- {action:?}"));
        state.apply(action, plan);
    }
    if state.world.checker.violation.is_none() {
        state.world.note(|| "--- nothing more goes wrong".into());
        let _what_is_asserted = probe(&mut state.world);
    }
    state.world.record.timeline.unwrap_or_default()
}

fn path(seen: &HashMap<u128, (u128, Option<Action>)>, mut hash: u128) -> Vec<Action> {
    let mut path = Vec::new();
    while let Some(&(before, Some(action))) = seen.get(&hash) {
        path.push(action);
        hash = before;
    }
    path.reverse();
    path
}

/// What need not happen.
fn is_chance(action: Action) -> bool {
    use Action::{Ask, Crash, Exec, Fork, GiveUp, Launch};
    matches!(
        action,
        Crash(..) | Fork(_) | Exec(_) | Ask(_) | GiveUp(..) | Launch
    ) || action == Action::Seal(false)
}

impl State {
    fn new(plan: &Plan) -> Self {
        let config = CoordinatorConfig::default().settle_time(Duration::ZERO);
        let mut world = World::new(plan.dialect, config, plan.sabotage.clone());
        // Time goes on only where nothing is under way.
        world.checker.forks_are_short = plan.early_wakes == 0;
        for host in plan.hosts {
            world.start(host, Birth::Launched, None);
        }
        run(&mut world);
        Self {
            world,
            asked: 0,
            crashes: plan.crashes,
            forks: plan.forks,
            execs: plan.execs,
            launches: plan.launches,
            failed_seals: plan.failed_seals,
            early_wakes: plan.early_wakes,
            give_ups: plan.give_ups,
        }
    }

    fn actions(&self, plan: &Plan) -> Vec<Action> {
        let world = &self.world;
        let mut actions = ready(world);
        let is_idle = actions.is_empty();
        if world.core.next_timeout().is_some() && (is_idle || self.early_wakes > 0) {
            actions.push(Action::Wake);
        }
        if !world.seals.is_empty() && self.failed_seals > 0 {
            actions.push(Action::Seal(false));
        }
        if self.asked < plan.asks.len() {
            actions.push(Action::Ask(self.asked));
        }
        if self.launches > 0 {
            actions.push(Action::Launch);
        }
        if self.give_ups > 0 {
            give_ups(world, &mut actions);
        }
        for number in world.living() {
            let process = &world.processes[number];
            if self.crashes > 0 {
                let sent = world
                    .links
                    .get(&process.conn)
                    .map_or(0, |link| link.up.len());
                actions.extend((0..=sent).map(|kept| Action::Crash(number, kept)));
            }
            if self.forks > 0 && process.can_fork() {
                actions.push(Action::Fork(number));
            }
            if self.execs > 0 && world.can_exec(number) {
                actions.push(Action::Exec(number));
            }
        }
        actions
    }

    fn apply(&mut self, action: Action, plan: &Plan) {
        match action {
            Action::Wake => {
                if !ready(&self.world).is_empty() {
                    self.early_wakes -= 1;
                }
            }
            Action::Seal(false) => self.failed_seals -= 1,
            Action::Ask(_) => self.asked += 1,
            Action::GiveUp(..) => self.give_ups -= 1,
            Action::Launch => self.launches -= 1,
            Action::Crash(..) => self.crashes -= 1,
            Action::Fork(_) => self.forks -= 1,
            Action::Exec(_) => self.execs -= 1,
            Action::Up(_) | Action::Act(_) | Action::Seal(true) => {}
        }
        apply(&mut self.world, action, plan);
    }

    /// Of all that is in it, as text: equal states have equal texts, since nothing in them is
    /// unordered.
    fn hash(&self) -> u128 {
        let budget = (self.crashes, self.forks, self.execs, self.launches);
        let later = (self.failed_seals, self.early_wakes, self.give_ups);
        let budget = (budget, self.asked, later);
        hash(format!("{budget:?}{:?}", self.world).as_bytes())
    }

    /// Nothing is under way. Nobody may be waiting, and from here on everything works.
    fn probe(&self) -> Result<(), Violation> {
        let mut world = self.world.clone();
        probe(&mut world)
    }
}

/// Two independent sums of 64 bits. Nobody chooses states so that they collide.
fn hash(text: &[u8]) -> u128 {
    let (mut one, mut two) = (0xcbf2_9ce4_8422_2325_u64, 0x9e37_79b9_7f4a_7c15_u64);
    let mut add = |word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        one = (one ^ word)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(29);
        two = (two.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    };
    let mut rest = text;
    while let Some((word, behind)) = rest.split_first_chunk() {
        add(*word);
        rest = behind;
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    add(last);
    u128::from(one) << 64 | u128::from(two)
}

/// Whom the embedding program can give up on: those that it saw, which may have got on since, in this
/// round or the one before.
fn give_ups(world: &World, actions: &mut Vec<Action>) {
    let Some(round) = world.core.standing(world.now).and_then(|now| now.round) else {
        return;
    };
    for survivors in [Survivors::RunOn, Survivors::Killed] {
        for worker in world.core.workers() {
            actions.push(Action::GiveUp(Some(worker.number), round, survivors));
        }
        actions.push(Action::GiveUp(None, round, survivors));
        actions.push(Action::GiveUp(None, round - 1, survivors));
    }
}

/// What happens by itself, sooner or later.
fn ready(world: &World) -> Vec<Action> {
    let with_up = world.links.iter().filter(|(_, link)| link.has_up());
    let mut actions: Vec<Action> = with_up.map(|(&conn, _)| Action::Up(conn)).collect();
    let acting = |&number: &usize| world.processes[number].can_act();
    actions.extend(world.living().into_iter().filter(acting).map(Action::Act));
    if !world.seals.is_empty() {
        actions.push(Action::Seal(true));
    }
    actions
}

fn apply(world: &mut World, action: Action, plan: &Plan) {
    match action {
        Action::Up(conn) => world.deliver_up(conn, None),
        Action::Act(number) => world.act(number),
        Action::Crash(number, kept) => world.crash(number, kept),
        Action::Fork(number) => world.fork(number),
        Action::Exec(number) => world.exec(number),
        Action::Ask(index) => match plan.asks[index] {
            Ask::Tool(command) => {
                world.tool(plan.dialect, command);
            }
            Ask::Program(command) => {
                let id = world.request(command);
                world.saboteur.waits(id);
            }
        },
        Action::GiveUp(worker, round, survivors) => {
            let all = world.core.workers().map(|worker| worker.number);
            let wanted = |number: &u64| worker.is_none_or(|worker| worker == *number);
            let workers: Vec<u64> = all.filter(wanted).collect();
            world.give_up(round, &workers, Duration::ZERO, survivors);
        }
        Action::Launch => {
            world.start(plan.hosts[0], Birth::Launched, None);
        }
        Action::Seal(well) => world.seal(0, well),
        Action::Wake => world.wake(),
    }
    read(world);
}

/// Everybody reads what there is.
fn read(world: &mut World) {
    loop {
        let next = world.links.iter().find(|(_, link)| {
            let reads = match link.owner {
                Owner::Process(number) => world.processes[number].can_read(),
                Owner::Tool(_) | Owner::Stranger => true,
            };
            reads && link.has_down()
        });
        let Some((&conn, _)) = next else { return };
        world.deliver_down(conn, usize::MAX);
    }
}

/// Everything that is under way happens, one thing after the other.
fn run(world: &mut World) {
    const NOTHING: Plan = Plan::new(Dialect::V5, &[], &[]);
    read(world);
    for _ in 0..10_000 {
        let action = match ready(world).first() {
            Some(&action) => action,
            None if world.core.next_timeout().is_some() => Action::Wake,
            None => return,
        };
        apply(world, action, &NOTHING);
        if world.checker.violation.is_some() {
            return;
        }
    }
    world
        .checker
        .broken(Rule::WaitsForEver, || "there is no end to it".into());
}

fn probe(world: &mut World) -> Result<(), Violation> {
    world.check_quiet();
    while world.living().len() < 2 && world.checker.violation.is_none() {
        world.start("one", Birth::Launched, None);
        run(world);
    }
    let peers = world.living().len();
    let id = world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
    run(world);
    world.check_quiet();
    let images = world.checker.images();
    if world.replies.get(&id) != Some(&true) || images != peers {
        world.checker.broken(Rule::NextRoundFails, || {
            format!("{images} images of {peers}")
        });
    }
    for number in world.living() {
        world.crash(number, 0);
    }
    run(world);
    world.check_quiet();
    world.check_empty();
    world.checker.violation.clone().map_or(Ok(()), Err)
}
