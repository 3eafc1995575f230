"""Dates and units, found in a short question and worked out.

date_in("What weekday is 2026-11-21?")      # "2026-11-21 is a Saturday."
conversion_in("5 miles in km")               # "5 mi = 8.04672 km."
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

#: Characters of a question that may be about a date or a unit alone.
_LONGEST = 120

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_MONTH = f"({'|'.join(_MONTHS)})"
_SPELLED = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}|{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?),? (\d{{4}})\b"
)
_WEEKDAY = re.compile(r"\b(?:week ?day|day of the week|what day (?:is|was|will)|which day (?:is|was))\b")
_TODAY = re.compile(
    r"\b(?:what(?:'s| is) (?:the |today'?s )?date|what day is (?:it|today)|today'?s date|what year is it)\b"
)
_BETWEEN = re.compile(r"\bhow many (days|weeks)\b")

#: Unit to (what it measures, its size in the first unit of that, its sign).
_UNITS: dict[str, tuple[str, float, str]] = {}
for _what, _rows in {
    "length": {
        "m": (1.0, "m meter meters metre metres"),
        "km": (1000.0, "km kilometer kilometers kilometre kilometres"),
        "cm": (0.01, "cm centimeter centimeters centimetre centimetres"),
        "mm": (0.001, "mm millimeter millimeters millimetres"),
        "mi": (1609.344, "mi mile miles"), "ft": (0.3048, "ft foot feet"), "in": (0.0254, "inch inches"),
        "yd": (0.9144, "yd yard yards"),
    },
    "mass": {
        "kg": (1.0, "kg kilo kilos kilogram kilograms"), "g": (0.001, "g gram grams"),
        "lb": (0.45359237, "lb lbs pound pounds"),
        "oz": (0.028349523125, "oz ounce ounces"), "t": (1000.0, "tonne tonnes"),
    },
    "volume": {
        "l": (1.0, "l liter liters litre litres"), "ml": (0.001, "ml milliliter milliliters millilitres"),
        "gal": (3.785411784, "gal gallon gallons"),
        "cup": (0.2365882365, "cup cups"), "pt": (0.473176473, "pint pints"),
    },
    "time": {
        "s": (1.0, "s sec second seconds"), "min": (60.0, "min minute minutes"), "h": (3600.0, "h hr hour hours"),
        "d": (86400.0, "day days"), "weeks": (604800.0, "week weeks"),
    },
    "speed": {
        "km/h": (1.0, "km/h kmh kph"), "mph": (1.609344, "mph"), "m/s": (3.6, "m/s"), "kn": (1.852, "kn knot knots"),
    },
}.items():  # fmt: skip
    for _sign, (_size, _names) in _rows.items():
        for _name in _names.split():
            _UNITS[_name] = _what, _size, _sign

_NAME = r"[a-z]+(?:/[a-z])?"
_DEGREE = r"(?:°|degrees?\s+)?"
_CONVERT = (
    re.compile(
        rf"(-?\d+(?:\.\d+)?)\s*{_DEGREE}({_NAME})\s+(?:in|to|into|as|=|are how many|is how many)\s+{_DEGREE}({_NAME})\b"
    ),
    re.compile(rf"how (?:many|much) ({_NAME})\s+(?:is|are|in|make)\s+(-?\d+(?:\.\d+)?|an?)\s*({_NAME})\b"),
)
_DEGREES = {"c": "C", "celsius": "C", "f": "F", "fahrenheit": "F", "k": "K", "kelvin": "K"}


def conversion_in(question: str) -> str | None:
    """The conversion asked for, worked out; None where there is none."""
    said = question.lower()
    if len(said) > _LONGEST:
        return None
    if found := _CONVERT[0].search(said):
        amount, given, wanted = float(found[1]), found[2], found[3]
    elif found := _CONVERT[1].search(said):
        amount, given, wanted = 1.0 if found[2].startswith("a") else float(found[2]), found[3], found[1]
    else:
        return None
    if given in _DEGREES and wanted in _DEGREES:
        value = _from_kelvin(_to_kelvin(amount, _DEGREES[given]), _DEGREES[wanted])
        return f"{amount:g} °{_DEGREES[given]} = {round(value, 2):g} °{_DEGREES[wanted]}."
    if given not in _UNITS or wanted not in _UNITS or _UNITS[given][0] != _UNITS[wanted][0]:
        return None
    value = amount * _UNITS[given][1] / _UNITS[wanted][1]
    return f"{amount:g} {_UNITS[given][2]} = {value:.6g} {_UNITS[wanted][2]}."


def _to_kelvin(degrees: float, scale: str) -> float:
    return {"C": degrees + 273.15, "F": (degrees - 32) / 1.8 + 273.15, "K": degrees}[scale]


def _from_kelvin(kelvin: float, scale: str) -> float:
    return {"C": kelvin - 273.15, "F": (kelvin - 273.15) * 1.8 + 32, "K": kelvin}[scale]


def date_in(question: str, today: date | None = None) -> str | None:
    """What is asked about a date, worked out: its weekday, the days between two; None where there is nothing."""
    said = question.lower()
    if len(said) > _LONGEST:
        return None
    today = today or datetime.now(UTC).date()
    named = _dates(said)
    if named and _WEEKDAY.search(said):
        tense = "was" if named[0] < today else "is"
        return f"{named[0].isoformat()} {tense} a {named[0]:%A}."
    if (asked := _BETWEEN.search(said)) and named:
        first, second = (named[0], named[1]) if len(named) > 1 else (today, named[0])
        days = abs((second - first).days)
        count = f"{days / 7:.4g} weeks" if asked[1] == "weeks" else f"{days} days"
        return f"From {first.isoformat()} to {second.isoformat()} it is {count}."
    if _TODAY.search(said) and not named:
        return f"Today is {today:%A}, {today.isoformat()}, by the server's clock (UTC)."
    return None


def _dates(said: str) -> list[date]:
    found = []
    for match in _ISO.finditer(said):
        found.append((match.start(), int(match[1]), int(match[2]), int(match[3])))
    for match in _SPELLED.finditer(said):
        day, month = match[1] or match[4], match[2] or match[3]
        found.append((match.start(), int(match[5]), _MONTHS.index(month) + 1, int(day)))
    dates = []
    for _, year, month_number, day_number in sorted(found):
        try:
            dates.append(date(year, month_number, day_number))
        except ValueError:
            continue
    return dates
