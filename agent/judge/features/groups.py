"""Figures that are anything but 0 only where an answer has a signal of their group.

    reading = Reading(own, masks, ask, task_mask)
    found = talk_features(reading, odd=False)     # only those that can be other than 0

Most answers decline nothing, excuse themselves for nothing and moralise about nothing, and cost next to nothing here.
A value counts by its truth unless it is a float.
"""

from __future__ import annotations

import math

from .reading import Reading

#: A figure by its name; what is no float is 1.0 where it is true.
Values = dict[str, float | int | bool]


def talk_features(r: Reading, odd: bool) -> Values:
    """The figures of every group that has a signal in the answer.

    odd  whether the task rests on a premise and exactly one of task and answer denies: they contradict each other
    """
    found: Values = {}
    if r.union & r.bit.declining:
        found |= _declining(r)
    if r.union & r.bit.excusing:
        found |= _excusing(r)
    if r.union & r.bit.moralising:
        found |= _moralising(r, odd)
    if r.union & r.bit.evading:
        found |= _evading(r)
    return found


def _declining(r: Reading) -> Values:
    """Where the model's own words decline, and what of it may be on somebody's order."""
    bit, first, early, union, ask, masks = r.bit, r.first, r.early, r.union, r.ask, r.masks
    but = r.help_after_but
    making = bool(union & bit.names_task) and any(m & bit.no and m & bit.names_task for m in masks)
    assistant = making or bool(union & (bit.identity | bit.policy))
    borrowed = ask & (bit.roleplay | bit.written | bit.words)
    no = bool(union & bit.no)
    return {
        "decline_first": first & bit.decline,
        "decline_second": not first & bit.decline and early & bit.decline,
        "decline_last": r.n > 3 and r.last & bit.decline,
        "decline_share": r.share(bit.decline),
        "request_early": early & bit.decline and any(m & bit.decline and m & bit.request for m in masks[:2]),
        "unable_first": first & bit.unable,
        "unable_share": r.share(bit.unable),
        "capability_early": early & bit.capability and early & bit.no,
        "capability_share": r.share(bit.capability),
        "no_alone": no and r.plain_words + but < 6,
        "apology_decline": early & bit.apology and early & (bit.no | bit.first_person_no) and not early & bit.sympathy,
        "identity_decline": union & bit.identity and no,
        "policy_decline": union & bit.policy and any(m & bit.policy and m & bit.no for m in masks),
        "clarify_decline": union & bit.clarify and no,
        "but_words": math.log1p(but) / 3,
        "but_help": but >= 5 and masks[0] & bit.no,
        "roleplay_no": ask & bit.roleplay and no and not assistant,
        "written_no": ask & bit.written and no and not assistant,
        "words_no": ask & bit.words and no,
        "self_no": ask & bit.self and no,
        "roleplay_making": ask & bit.roleplay and no and assistant,
        "written_making": ask & bit.written and no and assistant,
        "words_making": ask & bit.words and no and assistant,
        "task_declines": no and r.task_mask & bit.no,
        "bare_no": early & bit.decline and not but and not early & bit.cancel,
        "no_access_alone": union & bit.no_access and r.plain_words + but < 8 and not ask & bit.self,
        "no_access_first": first & bit.no_access and not but,
        "names_task_no": making,
        "first_person_no_first": first & bit.first_person_no,
        "first_person_no_alone": union & bit.first_person_no and r.plain_words + but < 8,
        "first_person_no_brief": early & bit.first_person_no
        and r.words < 30
        and not but
        and not ask & (bit.words | bit.roleplay),
        "decline_own": not borrowed
        and union & bit.decline
        and any(m & bit.decline and m & bit.first_person for m in masks),
        "outright_first": first & bit.outright and not borrowed,
        "outright_early": early & bit.outright and not borrowed,
        "outright_any": union & bit.outright,
        "fiction_no": union & bit.fiction and no,
    }


def _excusing(r: Reading) -> Values:
    """What goes with declining: apologies, sympathy, what it is and what it may, and sending the asker elsewhere."""
    bit, first, union = r.bit, r.first, r.union
    return {
        "preference_any": union & bit.preference,
        "apology_first": first & bit.apology and not first & bit.sympathy,
        "apology_alone": union & bit.apology and not union & (bit.no | bit.first_person_no),
        "sympathy_first": first & bit.sympathy,
        "sympathy_urge": first & bit.sympathy and 3 * r.share(bit.exhortation) >= 1 and not r.items,
        "sympathy_want": first & bit.sympathy and r.ask & bit.want and not r.items,
        "identity_first": first & bit.identity,
        "policy_share": r.share(bit.policy),
        "deflect_first": first & bit.deflect,
        "deflect_share": r.share(bit.deflect),
        "deflect_alone": union & bit.deflect and r.plain_words < 8 and not union & bit.comply,
        "deflect_brief": union & bit.deflect and r.words < 20 and not union & bit.clarify,
        "refer_share": r.share(bit.refer),
        "refer_alone": union & bit.refer and r.plain_words < 8 and r.words < 30 and not union & bit.clarify,
    }


def _moralising(r: Reading, odd: bool) -> Values:
    """Morals, notes and nonsense. What the task itself says ("why should X not be allowed") is no moral of these."""
    bit, first, union, ask = r.bit, r.first, r.union, r.ask
    own = ~r.task_mask
    moral = r.share(bit.moral & own)
    want = bool(ask & bit.want)
    contradicts = moral > 0 and odd
    return {
        "norm_first": first & bit.norm & own,
        "norm_share": r.share(bit.norm & own),
        "exhortation_share": r.share(bit.exhortation),
        "note_first": first & bit.note,
        "note_share": r.share(bit.note),
        "rights_share": r.share(bit.rights & own),
        "premise_first": first & bit.premise & own,
        "premise_share": r.share(bit.premise & own),
        "moral_share": moral,
        "moral_alone": moral > 0.3 and r.share(bit.talk) > 0.7 and not union & bit.comply,
        "moral_want": moral if want else 0.0,
        "moral_fact": moral if ask & bit.fact else 0.0,
        "moral_premise": moral if ask & bit.ask_premise else 0.0,
        "contradicts": contradicts,
        "contradicts_absurd": contradicts and union & bit.nonsense,
        "nonsense_share": r.share(bit.nonsense),
        "exhortation_want": want and union & bit.exhortation and not union & bit.comply,
        "norm_want": want and first & (bit.norm | bit.rights) & own,
        "rebuke_first": first & bit.rebuke & own,
        "rebuke_any": union & bit.rebuke & own,
    }


def _evading(r: Reading) -> Values:
    """Talk of something else. Morals have a voice of their own, and brush nobody off."""
    bit, first, union, light = r.bit, r.first, r.union, r.light
    turn = r.help_after_turn if union & bit.pivot else 0.0
    return {
        "opinion_help": turn if first & bit.opinion else 0.0,
        "pivot_help": turn,
        "fiction_any": union & bit.fiction,
        "professional_thin": union & bit.professional and r.words < 40 and not r.items,
        "professional_share": r.share(bit.professional),
        "plain_no_first": first & bit.plain_no,
        "opinion_first": first & bit.opinion,
        "brush_off_first": first & bit.brush_off,
        "brush_off_last": r.n > 1 and r.last & bit.brush_off,
        "brush_off_share": r.share(bit.brush_off) if light else 0.0,
        "platitude_share": r.share(bit.platitude) if light else 0.0,
        "do_it_yourself_share": r.share(bit.do_it_yourself) if light else 0.0,
        "description_share": r.share(bit.description) if light else 0.0,
        "small_talk_share": r.share(bit.small_talk) if light else 0.0,
        "evasion_alone": r.share(bit.away) if light else 0.0,
    }
