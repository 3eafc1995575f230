"""Reads ``configs/backends.yaml``: parse, lay providers under, fill in the environment, validate, build.

config = load("configs/backends.yaml", os.environ)     # raises ConfigError with every fault at once

A backend that names a ``provider`` has that provider's settings (``configs/providers.yaml``) wherever it has none of
its own. Where it has no price or no context size, the price library is asked, once, here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..core.backend import Backend, Price, Quota, Timeout
from ..core.task import known_kinds
from ..core.windows import WEEKDAYS, in_days, zone
from .catalogue import CATALOGUE, Provider, catalogue, nearest, provider_at
from .extensions import known_apis, take_up
from .faults import (
    BACKEND_NAME,
    CONFIGS,
    ConfigError,
    Fault,
    FilledIn,
    Place,
    dotted,
    keys_of,
    line_of,
    quoted,
    schema_faults,
)
from .kinds import read_kinds
from .memory import memory_faults, memory_settings
from .prices import look_up
from .routes import is_added, route_faults
from .settings import Config, GatewaySettings, Headroom, Refusals, Rule, TelemetrySettings, TraceSettings
from .voice import read_voice
from .yaml_files import read_yaml

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


def load(
    path: str | Path, env: Mapping[str, str], *, extensions: Iterable[Path] = (), beside: str | Path | None = None
) -> Config:
    """Read and check the file at ``path``; ``env`` fills in ``${NAME}`` and ``${NAME:-default}``.

    ``extensions`` are taken up besides those that the file names (:mod:`agent.config.extensions`); those lie ``beside``
    another file where this one is a copy of it.

    Raises ConfigError with every fault found.
    """
    name = str(path)
    faults: list[Fault] = []
    document, lines = read_yaml(path, faults, known=keys_of("backends"))
    faults += _lay_providers_under(document, lines, name)
    _take_up_extensions(document, beside or path, extensions, faults)
    missing = _interpolate(document, env)
    of_schema = [
        (place, fault)
        for place, fault in schema_faults(document, lines, name, "backends")
        if (place not in missing or not _may_be_unset(place)) and not is_added(document, place)
    ]
    faults += [fault for _, fault in of_schema]
    faults += _unset_faults(missing, lines, name)
    # A backend whose name is wrong is one fault, not one more wherever it is named.
    named_well = not any(place == ("backends",) or fault.allowed == BACKEND_NAME for place, fault in of_schema)
    for more in (
        _reference_faults(document, lines, name) if named_well else (),
        _name_faults(document, lines, name),
        _address_faults(document, lines, name, missing),
        _quota_faults(document, lines, name),
        route_faults(document, lines, name) if named_well and not of_schema else (),
        memory_faults(document, lines, name),
    ):
        try:
            faults += more
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # These expect the shape that is asked for; where it is another, the faults found before say so.
            if not faults:
                raise
    faults = list(dict.fromkeys(faults))
    if faults:
        raise ConfigError(sorted(faults, key=lambda fault: fault.line))
    return _build(document, name, env, missing)


def _lay_providers_under(document: Any, lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """Complete, in place, every backend that names a provider; a provider that nobody knows is a fault."""
    backends: Any = document.get("backends") if isinstance(document, dict) else None
    for key, raw in list(backends.items()) if isinstance(backends, dict) else ():
        wanted = raw.get("provider") if isinstance(raw, dict) else None
        if not isinstance(wanted, str):
            continue
        known = catalogue()
        if wanted in known:
            backends[key] = known[wanted].under(raw)
            continue
        place: Place = ("backends", key, "provider")
        where = f"one of the {len(known)} in {CATALOGUE.relative_to(CONFIGS.parent)}"
        allowed = ", ".join(nearest(wanted, known))
        allowed = f"{allowed}, or another {where}" if allowed else where
        yield Fault(name, line_of(lines, place), dotted(place), f"{quoted(wanted)} is no known provider", allowed)


def _interpolate(document: Any, env: Mapping[str, str]) -> dict[Place, str]:
    """Fill in every ``${NAME}`` in place; returns the unset variables by the place that wants them.

    ``api_key`` is left as it is written, so that no secret ever enters the document.
    """
    missing: dict[Place, str] = {}

    def fill(value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            for key in value:
                value[key] = fill(value[key], (*place, key))
        elif isinstance(value, list):
            value[:] = [fill(item, (*place, index)) for index, item in enumerate(value)]
        elif isinstance(value, str) and place[-1:] != ("api_key",):
            filled = _VARIABLE.sub(lambda match: setting(match, place), value)
            return FilledIn(filled, value) if filled != value else value
        return value

    def setting(match: re.Match[str], place: Place) -> str:
        found = env.get(match[1]) or match[2]
        if found is None:
            missing[place] = f"{missing[place]} and {match[1]}" if place in missing else match[1]
            return match[0]
        return found

    fill(document, ())
    return missing


def _may_be_unset(place: Place) -> bool:
    """Whether the backend can wait, asleep, for the variable that stands at ``place`` and nowhere else is needed."""
    return len(place) >= 3 and place[0] == "backends" and place[2] in ("url", "model", "headers")


def _unset_faults(missing: Mapping[Place, str], lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """A variable that is not set puts a backend to sleep; anything else has to know what it is."""
    for place, variable in missing.items():
        if place[:1] != ("backends",):
            yield Fault(
                name, line_of(lines, place), dotted(place), f"{variable} is not set", f"${{{variable}:-default}}"
            )


def _judges(document: Any) -> Iterator[tuple[Place, Any]]:
    """Every ``judge:`` section of the file, with its place."""
    if "judge" in document:
        yield ("judge",), document["judge"]
    for key, backend in document["backends"].items():
        if "judge" in backend:
            yield ("backends", key, "judge"), backend["judge"]


def _reference_faults(document: Any, lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """Names that stand for a backend must be one."""
    keys = list(document["backends"])
    references: list[tuple[Place, str]] = []
    for number, rule in enumerate(document.get("rules", ())):
        references += [(("rules", number, "prefer", i), key) for i, key in enumerate(rule["prefer"])]
    for key, backend in document["backends"].items():
        for i, other in enumerate(backend.get("fallbacks", ())):
            place: Place = ("backends", key, "fallbacks", i)
            references.append((place, other))
            if other == key:
                yield Fault(
                    name, line_of(lines, place), dotted(place), f"{key} cannot fall back to itself", "another backend"
                )
    for at, judge in _judges(document):
        if "second_opinion" in judge:
            references.append(((*at, "second_opinion", "backend"), judge["second_opinion"]["backend"]))
            if sorted(bounds := judge["second_opinion"].get("between", [])) != bounds:
                place = (*at, "second_opinion", "between")
                what = f"{bounds} falls"
                yield Fault(name, line_of(lines, place), dotted(place), what, "the lower bound, then the higher one")
    for key in document.get("refusals", {}).get("backends", {}):
        references.append((("refusals", "backends", key), key))
    for alias, target in document.get("aliases", {}).items():
        if not _is_target(target, document):
            allowed = f"auto, auto:<kind>, {', '.join((*document.get('strategies', {}), *keys))}"
            place = ("aliases", alias)
            yield Fault(name, line_of(lines, place), dotted(place), f"{quoted(target)} is no model", allowed)
    for place, key in references:
        if key not in keys:
            yield Fault(name, line_of(lines, place), dotted(place), f"{quoted(key)} is no backend", ", ".join(keys))


def _is_target(target: str, document: Any) -> bool:
    """Whether an alias may stand for ``target``."""
    bare = target.removeprefix("auto:") if target.startswith("auto:") else target
    known = (*document["backends"], *document.get("strategies", {}))
    return bare in known or target == "auto" or (bare is not target and bare in known_kinds())


def _take_up_extensions(document: Any, path: str | Path, more: Iterable[Path], faults: list[Fault]) -> None:
    """Register what the file and the caller name; kinds and voice are read, so that their faults are told here."""
    listed = document.get("extensions") if isinstance(document, dict) else None
    own = [Path(path).parent / file for file in listed if isinstance(file, str)] if isinstance(listed, list) else []
    take_up([*own, *more], faults)
    for read in (read_kinds, read_voice):
        try:
            read()
        except ConfigError as error:
            faults += error.faults


def _name_faults(document: Any, lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """Kinds of work and wire formats that there are not."""
    kinds: list[tuple[Place, str]] = []
    for number, rule in enumerate(document.get("rules", ())):
        kinds += [(("rules", number, "kinds", i), kind) for i, kind in enumerate(rule["kinds"]) if kind != "*"]
    for kind in document.get("refusals", {}).get("kinds", {}):
        kinds.append((("refusals", "kinds", kind), kind))
    for kind in (document.get("memory") or {}).get("kinds", {}):
        kinds.append((("memory", "kinds", kind), kind))
    apis: list[tuple[Place, str]] = [
        (("backends", key, "api"), backend["api"]) for key, backend in document["backends"].items() if "api" in backend
    ]
    for named, known in ((kinds, known_kinds()), (apis, known_apis())):
        for place, what in named:
            if isinstance(what, str) and what not in known:
                yield Fault(name, line_of(lines, place), dotted(place), f"{quoted(what)} is unknown", ", ".join(known))


def _kinds_rules(kinds: Iterable[str], keys: Collection[str]) -> Iterator[Rule]:
    """What kinds prefer by their own files, where the backends file has no rule for them."""
    preferred = read_kinds().prefer
    for kind, prefer in preferred.items():
        if kind not in kinds and (there := tuple(key for key in prefer if key in keys)):
            yield Rule(frozenset([kind]), there)


def _address_faults(
    document: Any, lines: Mapping[Place, int], name: str, missing: Mapping[Place, str]
) -> Iterator[Fault]:
    """An address that no request could be sent to."""
    for key, backend in document["backends"].items():
        place: Place = ("backends", key, "url")
        try:
            port = urlsplit(str(httpx.URL(backend["url"]))).port
        except (httpx.InvalidURL, ValueError):
            port = 0
        if port == 0 and place not in missing:
            what = f"{quoted(backend['url'])} is no address"
            yield Fault(name, line_of(lines, place), dotted(place), what, "such as https://api.example.com/v1")


def _build(document: Any, name: str, env: Mapping[str, str], missing: Mapping[Place, str]) -> Config:
    unset: dict[str, list[str]] = {}
    for place, variable in missing.items():
        unset.setdefault(str(place[1]) if place[0] == "backends" else "", []).append(variable)
    rules = tuple(Rule(frozenset(rule["kinds"]), tuple(rule["prefer"])) for rule in document.get("rules", ()))
    named = {kind for rule in rules for kind in rule.kinds}
    return Config(
        backends={key: _backend(key, raw, env, unset.get(key, [])) for key, raw in document["backends"].items()},
        rules=(*rules, *_kinds_rules(named, document["backends"])),
        refusals=Refusals(**document.get("refusals", {})),
        content_filter=document.get("content_filter", "surface"),
        practice=document.get("practice", "auto"),
        probe_interval=float(document.get("probe_interval", 60)),
        identity=frozenset(document.get("identity", ())),
        judge={key: {**document.get("judge", {}), **raw.get("judge", {})} for key, raw in document["backends"].items()},
        headroom=Headroom(**document.get("headroom", {})),
        aliases=dict(document.get("aliases", {})),
        gateway=_gateway(document.get("gateway", {})),
        route=document.get("route"),
        strategies=document.get("strategies", {}),
        memory=memory_settings(document.get("memory")),
        redis=document.get("redis") or env.get("UNIWIZARD_REDIS_URL", "").strip(),
        telemetry=_telemetry(document.get("telemetry", {})),
        source=name,
    )


def _gateway(raw: Mapping[str, Any]) -> GatewaySettings:
    return GatewaySettings(**{**raw, "cors_origins": tuple(raw.get("cors_origins", ()))})


def _telemetry(raw: Mapping[str, Any]) -> TelemetrySettings:
    return TelemetrySettings(**{**raw, "traces": TraceSettings(**raw.get("traces", {}))})


def _backend(key: str, raw: Mapping[str, Any], env: Mapping[str, str], unset: list[str]) -> Backend:
    settings = {
        name: value
        for name, value in raw.items()
        if name not in ("api_key", "cost_per_1k", "timeout", "quota", "judge")
    }
    settings |= _listed(raw)
    for name in ("strengths", "weaknesses", "fallbacks"):
        settings[name] = tuple(raw.get(name, ()))
    settings["capabilities"] = frozenset(raw.get("capabilities", ()))
    settings["url"] = raw["url"].rstrip("/")
    settings["limited"] = "max_tokens" in raw
    settings["max_output"] = raw.get("max_output", _longest_answer(raw))
    api_key, asleep = _api_key(raw.get("api_key"), env)
    if unset:
        asleep = f"{' and '.join(sorted(set(unset)))} is not set"
    return Backend(
        key=key,
        api_key=api_key,
        unconfigured=asleep,
        timeout=_timeout(raw.get("timeout", 30)),
        quota=tuple(map(_quota, raw.get("quota", ()))),
        **settings,
    )


def _api_key(written: str | None, env: Mapping[str, str]) -> tuple[str | None, str]:
    """The secret and why the backend is asleep; one of the two is empty."""
    if written is None:
        return None, ""
    variable = written[2:-1]
    secret = env.get(variable, "").strip()
    if not secret:
        return None, f"{variable} is not set"
    if not _HEADER_SAFE.fullmatch(secret):
        return None, f"{variable} holds characters that no header can carry"
    return secret, ""


def _listed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The price, where it comes from, and the context size: the config's word, else the price library's."""
    known: dict[str, Any] = {}
    if (written := raw.get("cost_per_1k")) is not None:
        known = {"price": Price(**written) if isinstance(written, dict) else Price(written, written)}
    provider = catalogue()[raw["provider"]] if "provider" in raw else None
    if _is_local(raw["url"], provider):
        return known or {"price_source": "local"}
    if known and "max_context" in raw:
        return known
    listing = look_up(raw["model"], provider=provider.prices if provider else "", url=raw["url"])
    if not known:
        known = {"price": listing.price, "price_source": "library"} if listing else {"price_source": "unknown"}
    if listing and listing.max_context and "max_context" not in raw:
        known["max_context"] = listing.max_context
    return known


def _longest_answer(raw: Mapping[str, Any]) -> int | None:
    """What the catalogue knows of the longest answer that a backend's model can make, in tokens."""
    known = catalogue()
    provider = known[raw["provider"]] if "provider" in raw else provider_at(raw["url"], known)
    return provider.longest_answer(raw["model"]) if provider is not None else None


def _is_local(url: str, provider: Provider | None) -> bool:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        # Not filled in: its backend is asleep.
        host = None
    return (provider is not None and provider.local) or host in ("localhost", "127.0.0.1", "::1")


def _quota(raw: Mapping[str, Any]) -> Quota:
    day = raw.get("day")
    return Quota(
        limit=float(raw["limit"]),
        unit=raw["unit"],
        per=raw["per"],
        rolling=raw.get("rolling", False),
        zone=raw.get("zone", "UTC"),
        day=WEEKDAYS.index(day) if isinstance(day, str) else day,
        hour=raw.get("hour", 0),
    )


def _quota_faults(document: Any, lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """Resets that no clock knows, and resets where there are none."""
    for key, backend in document["backends"].items():
        for number, raw in enumerate(backend.get("quota", ())):

            def fault(field: str, what: str, allowed: str, at: Place = ("backends", key, "quota", number)) -> Fault:
                place: Place = (*at, field)
                return Fault(name, line_of(lines, place), dotted(place), what, allowed)

            daily = in_days(raw["per"]) and not raw.get("rolling", False)
            for key_of_day in ("zone", "hour"):
                if key_of_day in raw and not daily:
                    yield fault(
                        key_of_day, f"{raw['per']} has no reset in a zone", "fixed windows of days, weeks or months"
                    )
            if "zone" in raw:
                try:
                    zone(raw["zone"])
                except ValueError:
                    yield fault("zone", f"{quoted(raw['zone'])} is no time zone", "an IANA name such as Europe/Warsaw")
            if "day" in raw and raw.get("rolling", False):
                yield fault("day", "a rolling window has no reset", "fixed windows")
            elif "day" in raw and raw["per"] == "month" and isinstance(raw["day"], str):
                yield fault("day", f"{quoted(raw['day'])} is no day of a month", "1 to 31")
            elif "day" in raw and raw["per"] == "week" and not isinstance(raw["day"], str):
                yield fault("day", f"{quoted(raw['day'])} is no day of a week", ", ".join(WEEKDAYS))
            elif "day" in raw and raw["per"] not in ("week", "month"):
                yield fault("day", f"{raw['per']} begins on any day", "windows of a week or a month")


def _timeout(raw: Any) -> Timeout:
    """One number bounds the whole attempt; the phases then share it, with at most 10 s to connect."""
    phases = raw if isinstance(raw, dict) else {"total": raw}
    total = float(phases.get("total", 30))
    return Timeout(
        connect=float(phases.get("connect", min(10.0, total))),
        first_token=float(phases.get("first_token", total)),
        idle=float(phases.get("idle", total)),
        total=total,
    )
