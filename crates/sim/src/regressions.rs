//! Seeds that once failed. Each stays, with what it found.

/// A seed and what was wrong.
pub const SEEDS: &[(u64, &str)] = &[
    (8, "members who joined over a third never learned each other's addresses"),
    (142, "addresses were told before the log was here that shows who told them"),
    (25, "a crash between the op that registers a context and its record left a context that nobody can begin"),
    (22, "a log with more heads than a summary holds made honest summaries unreadable"),
    (179, "deltas named more governance heads than is allowed, and were refused by all others"),
    (32, "entries that are refused were asked for again without a pause"),
    (2109, "who may only read merged the heads of a context before a call, and all others refused that entry"),
    (39, "whoever came late refused the beginning of a context whose creator had left it since"),
    (96, "a context that was left and joined again began an empty log over the one in the store"),
    (136, "a member that was removed while it was cut off never learned of it"),
    (71, "ops that a removed member had signed before it knew were never fetched, and deltas waited for them"),
    (168, "only the first member was asked for a log that it has not joined"),
    (506, "who took over the keys of a card after the log was here never asked for the epoch that is sealed to them"),
    (876, "the same, after a restart"),
    (928, "a crash took the op that bound an identity, and the context was said to be joined"),
    (1094, "the keys of a claim that was being countersigned were thrown away for those of a card"),
    (1155, "whoever lost the race for an invitation never learned of it"),
    (541, "a key that had been given to whom a dead grant let in was written under for ever"),
    (200_841, "who may not read a context named its key as the group's"),
    (500_148, "what waited in a context when it was left waited on when it was joined again"),
    (600_372, "what was forged between two removals counted, because the second one kept what stood on top of it"),
    (600_693, "a crash between the op that names a subgroup and the record of it left a member that never followed it"),
    (602_542, "after a restart nobody looked at the clock for what had come from the future"),
    (500_373, "a host that reads a context with nobody but a liar was said to have to be ready"),
    (1_001_881, "who was let into a subgroup by somebody that was removed above never learned that it is out"),
    (6_114_235, "what a puppet wrote counted again, because a later restriction kept what stood on top of it"),
    (
        7_435_696,
        "who had been let in again, as a member knew and somebody who was out did not, was said to read what it may not",
    ),
    (6_120_386, "with many heads above, a delta named too few of them, and was refused by some hosts for good"),
];

/// The same, of runs with eight hosts.
pub const WIDE_SEEDS: &[(u64, &str)] = &[
    (5001, "a member by a role that was set, whose claim died beside that, had no key to which others could seal"),
    (5020, "a node ended when it judged a delta beside the removal of its author in a group above"),
    (5079, "what was decided before a removal, and left in the same commit, was taken for a leak"),
    (5023, "who had asked in vain to be let into a subgroup was nobody there when it became a member of the parent"),
    (
        710_278,
        "to be let into a Restricted context again gave back what was written while locked out, at some hosts only",
    ),
    (710_157, "what was decided before a removal in a subgroup, and left in the same commit, was taken for a leak"),
    (710_376, "who had left, and come back by a card, was said to be nobody to those who did not know"),
    (700_006, "who asked to be let into a group that had ended was never told"),
    (5026, "who had been removed before the app came was told that it is on its way"),
    (5049, "who had been removed presented the claim of a join that was over, and was let in by it again"),
    (7_000_004, "what was decided between two ops of one commit was taken for a leak"),
    (2_100_460, "an identity of former member keys was said to have to write"),
    (4_101_173, "what a puppet wrote counted again, because a later restriction kept what stood on top of it"),
];

/// The same, of runs whose people live in groups below groups.
pub const DEEP_SEEDS: &[(u64, &str)] = &[
    (
        98,
        "who had been removed above, and below later than that, waited for ever for what the later removal had seen above",
    ),
    (3_000_209, "who was removed below was told of the log above before its removal was durable"),
    (3_002_108, "who took up the keys of a card in a group whose log was here did not follow the groups below"),
    (5_000_111, "the log of a context that had been left was taken for that of a group"),
    (5_000_209, "who was removed was told more of the log, because a group two below had not heard of it yet"),
    (5_000_260, "a call waited for an epoch that a node, by the keys that it has now, may not start"),
    (3_100_354, "keys by which a host was nobody were thrown away, and were a member's again when a verdict turned"),
    (3_100_337, "who was let in by somebody that had been removed meanwhile waited for ever, with a good invitation"),
    (5_101_596, "the same, after a crash between what undid the join and the record of that"),
    (3_206_359, "who was shown its removal knew of an op that voids it, and not of what that one died of"),
    (5_110_255, "who was shown ops of a group between was not shown what these rest on above"),
    (5_111_945, "who was shown its removal was not shown that the end of its remover's right spares it"),
    (5_109_285, "who got a row of its own below, after a removal above, was not judged anew"),
    (5_110_427, "a subgroup was forgotten, because the op that names it was dead when the node started"),
    (
        7_325_442,
        "who goes by several keys in one tree was not told that the row above, which it would inherit, had ended",
    ),
    (
        8_324_870,
        "whose claim fell with a row, below which what its countersigner inherited had ended too, was not shown the latter",
    ),
    (9_306_368, "who was removed was not shown that a removal above had seen what let its remover in"),
    (7_322_580, "who had been let in again by somebody that left since was said to be known to be out"),
    (7_319_290, "the key of a subgroup, opened with one that a liar had given away, was taken for a leak"),
    (7_300_510, "a subgroup that only its liar of a founder and a removed member had was said to have to be followed"),
];
