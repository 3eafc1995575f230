"""The Python clients of the table, and what has to be installed for them."""

FEATURES = ("chat", "stream", "tools", "required", "schema", "ten_turns", "long", "refusal")

CLIENTS = (
    *("openai chat", "openai responses", "anthropic", "langchain", "llama-index", "pydantic-ai", "instructor"),
    *("openai-agents", "smolagents", "litellm", "llm"),
)

PACKAGES = [
    *("openai==2.54.0", "anthropic==2.12.0", "instructor==1.17.0", "pydantic-ai-slim[openai,anthropic]==2.68.0"),
    *("openai-agents==0.24.0", "langchain-openai==1.7.3", "smolagents[openai]==1.26.0", "litellm==1.106.2"),
    *("llm==0.36", "llama-index-llms-openai-like==0.8.1"),
]
