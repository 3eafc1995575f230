"""The signals of a sentence as bits, and the sums of them that are asked for together."""

from __future__ import annotations

from functools import cache

from ..text.phrases import PhraseBook, phrase_book, task_book
from ..text.sentences import Sentence


class SignalBits:
    """The bit of each signal in the masks of the phrase book, and the sums that are asked for together."""

    def __init__(self) -> None:
        bit = phrase_book().bit
        self.apology, self.decline, self.unable = bit("apology"), bit("decline"), bit("unable")
        self.request, self.policy, self.identity = bit("request"), bit("policy"), bit("identity")
        self.capability, self.deflect, self.norm = bit("capability"), bit("deflect"), bit("norm")
        self.exhortation, self.note, self.premise, self.rights = (
            bit("exhortation"),
            bit("note"),
            bit("premise"),
            bit("rights"),
        )
        self.comply, self.offer, self.hedge, self.concrete = bit("comply"), bit("offer"), bit("hedge"), bit("concrete")
        self.clarify, self.cancel, self.sympathy, self.preference = (
            bit("clarify"),
            bit("cancel"),
            bit("sympathy"),
            bit("preference"),
        )
        self.nonsense, self.names_task, self.names_piece, self.no_access = (
            bit("nonsense"),
            bit("names_task"),
            bit("names_piece"),
            bit("no_access"),
        )
        self.refer, self.pivot, self.fiction = bit("refer"), bit("pivot"), bit("fiction")
        self.outright, self.rebuke = bit("outright"), bit("rebuke")
        self.professional, self.platitude, self.plain_no, self.opinion = (
            bit("professional"),
            bit("platitude"),
            bit("plain_no"),
            bit("opinion"),
        )
        self.first_person, self.first_person_no = bit("first_person"), bit("first_person_no")
        self.do_it_yourself, self.description, self.brush_off, self.small_talk = (
            bit("do_it_yourself"),
            bit("description"),
            bit("brush_off"),
            bit("small_talk"),
        )
        report = bit("absent") | bit("obstacle") | bit("attempt") | bit("seek") | bit("source")
        self.counted = ~(report | bit("definite") | bit("generic"))
        self.no = self.decline | self.capability | self.unable | self.no_access
        self.moral = self.norm | self.rights | self.premise
        self.talk = self.no | self.moral | self.apology | self.policy | self.identity | self.deflect
        self.talk |= (
            self.exhortation
            | self.note
            | self.preference
            | self.first_person_no
            | self.refer
            | self.plain_no
            | self.professional
        )
        self.away = self.brush_off | self.small_talk | self.do_it_yourself | self.description | self.platitude
        self.away |= self.refer | self.deflect | self.no
        #: The signals without which no figure of a group is anything but 0.
        self.declining = self.no | self.first_person_no | self.outright
        self.excusing = self.apology | self.sympathy | self.identity | self.policy | self.deflect | self.refer
        self.excusing |= self.preference
        self.moralising = self.moral | self.exhortation | self.note | self.nonsense | self.rebuke
        self.evading = self.away | self.plain_no | self.opinion | self.professional | self.pivot | self.fiction
        self.grouped = self.declining | self.excusing | self.moralising | self.evading
        task = task_book().bit
        self.roleplay, self.written, self.words, self.self = (
            task("roleplay"),
            task("written"),
            task("words"),
            task("self"),
        )
        self.refusal, self.able = task_book().bit("refusal"), task_book().bit("able")
        self.ask_premise, self.want, self.fact = task("premise"), task("want"), task("fact")


@cache
def signal_bits() -> SignalBits:
    """The bits, read at first use."""
    return SignalBits()


def signals_in(sentence: Sentence, book: PhraseBook, bit: SignalBits) -> int:
    """The signals in one sentence; what is only a figure of speech ("I can't wait") is taken out."""
    mask = book.scan(sentence.words)
    if sentence.unspaced:
        mask |= book.scan_unspaced(sentence.text)
    if mask & bit.cancel:
        mask &= ~(bit.no | bit.request | bit.first_person_no | bit.outright)
    return mask
