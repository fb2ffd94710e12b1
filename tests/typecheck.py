"""What checks the types in tests: beartype, to which a whole number is a float as well, as PEP 484 says."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
