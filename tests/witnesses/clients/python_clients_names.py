"""The Python clients of the table, and what has to be installed for them."""

FEATURES = ("chat", "stream", "tools", "required", "schema", "ten_turns", "long", "refusal")

CLIENTS = (
    *("openai chat", "openai responses", "anthropic", "langchain", "llama-index", "pydantic-ai", "instructor"),
    *("openai-agents", "smolagents", "litellm", "llm"),
)

PACKAGES = [
    *("openai", "anthropic", "instructor", "pydantic-ai-slim[openai,anthropic]", "openai-agents", "langchain-openai"),
    *("smolagents[openai]", "litellm>=1.106,<1.107", "llm", "llama-index-llms-openai-like"),
]
