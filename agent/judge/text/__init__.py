"""Texts as the judge reads them: sentences, phrases, languages."""
