"""What one Python client can do through the door: ``python python_clients.py CLIENT``, BASE and KEY in the environment.

Prints one JSON object: feature to ``ok``, or to what went wrong. Runs in an environment of its own, so it imports
nothing of ours. A client's class has a method for each feature that it has; what it has none for is left out.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

BASE, KEY = os.environ["BASE"], os.environ["KEY"]
TIDES, QUESTION = "The moon pulls", "How do tides work?"
LONG, REFUSE, WEATHER = "Write a long answer.", "refuse this", "What is the weather in Ulm?"
PARAMETERS = {
    "type": "object",
    "properties": {"place": {"type": "string"}},
    "required": ["place"],
    "additionalProperties": False,
}
RIVER = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "length": {"type": "integer"}},
    "required": ["name", "length"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": PARAMETERS}}
OTHER: Any = {"type": "function", "function": {"name": "other", "parameters": {"type": "object", "properties": {}}}}


class OpenAIChat:
    def __init__(self) -> None:
        import openai

        self.sdk = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)

    def ask(self, said: Any, **more: Any) -> Any:
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        return self.sdk.chat.completions.create(model="auto", messages=messages, **more)

    def chat(self) -> None:
        assert TIDES in self.ask(QUESTION).choices[0].message.content

    def stream(self) -> None:
        said = "".join(
            chunk.choices[0].delta.content or "" for chunk in self.ask(QUESTION, stream=True) if chunk.choices
        )
        assert TIDES in said

    def tools(self) -> None:
        call = self.ask(WEATHER, tools=[TOOL]).choices[0].message.tool_calls[0]
        assert json.loads(call.function.arguments) == {"place": "Ulm"}

    def required(self) -> None:
        assert self.ask(QUESTION, tools=[TOOL, OTHER], tool_choice="required").choices[0].message.tool_calls

    def schema(self) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "river", "schema": RIVER, "strict": True}}
        assert set(json.loads(self.ask("A river?", response_format=form).choices[0].message.content)) == {
            "name",
            "length",
        }

    def ten_turns(self) -> None:
        turns: list[Any] = []
        backends = set()
        for number in range(10):
            turns.append({"role": "user", "content": f"{number}: {WEATHER}"})
            answer = self.ask(turns, tools=[TOOL])
            message = answer.choices[0].message
            if message.tool_calls:
                turns.append(message.model_dump(exclude_none=True))
                turns += [{"role": "tool", "tool_call_id": c.id, "content": "rain"} for c in message.tool_calls]
                answer = self.ask(turns, tools=[TOOL])
            assert "rain" in answer.choices[0].message.content
            turns.append({"role": "assistant", "content": answer.choices[0].message.content})
            backends.add(answer.model)
        assert len(backends) == 1, backends

    def long(self) -> None:
        choice = self.ask(LONG).choices[0]
        assert choice.message.content.endswith("line 3000") and choice.finish_reason == "stop"

    def refusal(self) -> None:
        assert self.ask(REFUSE).choices[0].message.refusal


class OpenAIResponses:
    def __init__(self) -> None:
        import openai

        self.sdk = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)
        self.tool = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}

    def ask(self, said: Any, **more: Any) -> Any:
        return self.sdk.responses.create(model="auto", input=said, **more)

    def chat(self) -> None:
        assert TIDES in self.ask(QUESTION).output_text

    def stream(self) -> None:
        events = self.ask(QUESTION, stream=True)
        assert TIDES in "".join(event.delta for event in events if event.type == "response.output_text.delta")

    def tools(self) -> None:
        assert self.ask(WEATHER, tools=[self.tool]).output[0].type == "function_call"

    def required(self) -> None:
        other = {"type": "function", "name": "other", "parameters": {"type": "object", "properties": {}}}
        assert self.ask(QUESTION, tools=[self.tool, other], tool_choice="required").output[0].type == "function_call"

    def schema(self) -> None:
        form = {"format": {"type": "json_schema", "name": "river", "schema": RIVER, "strict": True}}
        assert set(json.loads(self.ask("A river?", text=form).output_text)) == {"name", "length"}

    def ten_turns(self) -> None:
        previous = None
        for number in range(10):
            answer = self.ask(f"{number}: {WEATHER}", tools=[self.tool], previous_response_id=previous)
            calls = [item for item in answer.output if item.type == "function_call"]
            if calls:
                results = [{"type": "function_call_output", "call_id": c.call_id, "output": "rain"} for c in calls]
                answer = self.ask(results, tools=[self.tool], previous_response_id=answer.id)
            assert "rain" in answer.output_text
            previous = answer.id

    def long(self) -> None:
        assert self.ask(LONG).output_text.endswith("line 3000")

    def refusal(self) -> None:
        assert self.ask(REFUSE).output[0].content[0].type == "refusal"


class Anthropic:
    def __init__(self) -> None:
        import anthropic

        self.sdk = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0)
        self.tool = {"name": "weather", "description": "Weather.", "input_schema": PARAMETERS}

    def ask(self, said: Any, **more: Any) -> Any:
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        return self.sdk.messages.create(**{"model": "auto", "max_tokens": 8000, "messages": messages, **more})

    def chat(self) -> None:
        assert TIDES in self.ask(QUESTION).content[0].text

    def stream(self) -> None:
        turns: Any = [{"role": "user", "content": QUESTION}]
        with self.sdk.messages.stream(model="auto", max_tokens=8000, messages=turns) as stream:
            assert TIDES in "".join(stream.text_stream)

    def tools(self) -> None:
        assert self.ask(WEATHER, tools=[self.tool]).content[0].input == {"place": "Ulm"}

    def required(self) -> None:
        other = {"name": "other", "input_schema": {"type": "object", "properties": {}}}
        answer = self.ask(QUESTION, tools=[self.tool, other], tool_choice={"type": "any"})
        assert answer.stop_reason == "tool_use"

    def schema(self) -> None:
        form = {"format": {"type": "json_schema", "schema": RIVER}}
        assert set(json.loads(self.ask("A river?", output_config=form).content[0].text)) == {"name", "length"}

    def ten_turns(self) -> None:
        turns: list[Any] = []
        for number in range(10):
            turns.append({"role": "user", "content": f"{number}: {WEATHER}"})
            answer = self.ask(turns, tools=[self.tool])
            if answer.stop_reason == "tool_use":
                turns.append({"role": "assistant", "content": answer.content})
                results = [
                    {"type": "tool_result", "tool_use_id": block.id, "content": "rain"}
                    for block in answer.content
                    if block.type == "tool_use"
                ]
                turns.append({"role": "user", "content": results})
                answer = self.ask(turns, tools=[self.tool])
            assert "rain" in answer.content[0].text
            turns.append({"role": "assistant", "content": answer.content})

    def long(self) -> None:
        assert self.ask(LONG).content[0].text.endswith("line 3000")

    def refusal(self) -> None:
        assert self.ask(REFUSE).stop_reason == "refusal"


class LangChain:
    def __init__(self) -> None:
        from langchain_openai import ChatOpenAI

        self.model = ChatOpenAI(model="auto", base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)

    def chat(self) -> None:
        assert TIDES in self.model.invoke(QUESTION).content

    def stream(self) -> None:
        assert TIDES in "".join(chunk.content for chunk in self.model.stream(QUESTION))

    def tools(self) -> None:
        assert self.model.bind_tools([TOOL]).invoke(WEATHER).tool_calls[0]["args"] == {"place": "Ulm"}

    def required(self) -> None:
        assert self.model.bind_tools([TOOL, OTHER], tool_choice="any").invoke(QUESTION).tool_calls

    def schema(self) -> None:
        titled = {"title": "river", "description": "A river.", **RIVER}
        assert set(self.model.with_structured_output(titled).invoke("A river?")) == {"name", "length"}

    def ten_turns(self) -> None:
        from langchain_core.messages import HumanMessage, ToolMessage

        bound, turns = self.model.bind_tools([TOOL]), []
        for number in range(10):
            turns.append(HumanMessage(f"{number}: {WEATHER}"))
            answer = bound.invoke(turns)
            turns.append(answer)
            if answer.tool_calls:
                turns += [ToolMessage("rain", tool_call_id=call["id"]) for call in answer.tool_calls]
                answer = bound.invoke(turns)
                turns.append(answer)
            assert "rain" in answer.content

    def long(self) -> None:
        assert self.model.invoke(LONG).content.endswith("line 3000")

    def refusal(self) -> None:
        answer = self.model.invoke(REFUSE)
        assert answer.additional_kwargs.get("refusal") or "can't help" in answer.content


class LlamaIndex:
    def __init__(self) -> None:
        from llama_index.llms.openai_like import OpenAILike

        common = {"model": "auto", "api_base": f"{BASE}/v1", "api_key": KEY, "is_chat_model": True, "max_retries": 0}
        self.model = OpenAILike(**common, is_function_calling_model=True, context_window=200_000)

    def chat(self) -> None:
        assert TIDES in str(self.model.complete(QUESTION))

    def stream(self) -> None:
        assert TIDES in "".join(chunk.delta for chunk in self.model.stream_complete(QUESTION))

    def tools(self) -> None:
        from llama_index.core.tools import FunctionTool

        def weather(place: str) -> str:
            """The weather of a place."""
            return "rain"

        answer = self.model.chat_with_tools([FunctionTool.from_defaults(weather)], user_msg=WEATHER)
        assert self.model.get_tool_calls_from_response(answer)[0].tool_kwargs == {"place": "Ulm"}

    def long(self) -> None:
        assert str(self.model.complete(LONG)).endswith("line 3000")

    def refusal(self) -> None:
        assert "can't help" in str(self.model.complete(REFUSE))


class PydanticAI:
    def __init__(self) -> None:
        from pydantic import BaseModel
        from pydantic_ai import Agent
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        self.agent = Agent
        self.model = OpenAIChatModel("auto", provider=OpenAIProvider(base_url=f"{BASE}/v1", api_key=KEY))

        class River(BaseModel):
            name: str
            length: int

        self.river = River

    def chat(self) -> None:
        assert TIDES in self.agent(self.model).run_sync(QUESTION).output

    def tools(self) -> None:
        agent = self.agent(self.model)

        @agent.tool_plain
        def weather(place: str) -> str:
            """The weather of a place."""
            return f"rain in {place}"

        assert "rain in Ulm" in agent.run_sync(WEATHER).output

    def required(self) -> None:
        # Its structured output is a tool that must be called.
        assert self.agent(self.model, output_type=self.river).run_sync("A river?").output.name

    def schema(self) -> None:
        from pydantic_ai import NativeOutput

        assert self.agent(self.model, output_type=NativeOutput(self.river)).run_sync("A river?").output.name

    def long(self) -> None:
        assert self.agent(self.model).run_sync(LONG).output.endswith("line 3000")


class Instructor:
    def __init__(self) -> None:
        import instructor
        import openai
        from pydantic import BaseModel

        class River(BaseModel):
            name: str
            length: int

        self.river, self.instructor = River, instructor
        self.sdk = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)

    def _make(self, mode: Any) -> None:
        client = self.instructor.from_openai(self.sdk, mode=mode)
        turns = [{"role": "user", "content": "A river?"}]
        assert client.chat.completions.create(model="auto", response_model=self.river, messages=turns).name

    def tools(self) -> None:
        self._make(self.instructor.Mode.TOOLS)

    def schema(self) -> None:
        self._make(self.instructor.Mode.JSON_SCHEMA)


class OpenAIAgents:
    def __init__(self) -> None:
        import agents
        import openai

        agents.set_tracing_disabled(True)
        self.agents = agents
        client = openai.AsyncOpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)
        self.models = [
            agents.OpenAIResponsesModel(model="auto", openai_client=client),
            agents.OpenAIChatCompletionsModel(model="auto", openai_client=client),
        ]

    def _run(self, said: str, **more: Any) -> None:
        for model in self.models:
            agent = self.agents.Agent(name="a", instructions="Help.", model=model, **more)
            yield self.agents.Runner.run_sync(agent, said).final_output

    def chat(self) -> None:
        assert all(TIDES in said for said in self._run(QUESTION))

    def tools(self) -> None:
        @self.agents.function_tool
        def weather(place: str) -> str:
            """The weather of a place."""
            return f"rain in {place}"

        assert all("rain in Ulm" in said for said in self._run(WEATHER, tools=[weather]))

    def required(self) -> None:
        @self.agents.function_tool
        def weather(place: str) -> str:
            """The weather of a place."""
            return f"rain in {place}"

        settings = self.agents.ModelSettings(tool_choice="required")
        assert all("rain" in said for said in self._run(QUESTION, tools=[weather], model_settings=settings))

    def long(self) -> None:
        assert all(said.endswith("line 3000") for said in self._run(LONG))


class Smolagents:
    def __init__(self) -> None:
        import smolagents

        self.smolagents = smolagents
        self.model = smolagents.OpenAIServerModel(model_id="auto", api_base=f"{BASE}/v1", api_key=KEY)

    def required(self) -> None:
        @self.smolagents.tool
        def weather(place: str) -> str:
            """The weather.

            Args:
                place: where
            """
            return f"rain in {place}"

        agent = self.smolagents.ToolCallingAgent(tools=[weather], model=self.model, max_steps=4)
        assert agent.run(WEATHER)


class LiteLLM:
    def __init__(self) -> None:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        import litellm

        self.litellm = litellm

    def ask(self, said: str, **more: Any) -> Any:
        turns = [{"role": "user", "content": said}]
        where = {"api_base": f"{BASE}/v1", "api_key": KEY, "num_retries": 0}
        return self.litellm.completion(model="openai/auto", messages=turns, **where, **more)

    def chat(self) -> None:
        assert TIDES in self.ask(QUESTION).choices[0].message.content

    def stream(self) -> None:
        assert TIDES in "".join(chunk.choices[0].delta.content or "" for chunk in self.ask(QUESTION, stream=True))

    def tools(self) -> None:
        assert self.ask(WEATHER, tools=[TOOL]).choices[0].message.tool_calls[0].function.name == "weather"

    def required(self) -> None:
        assert self.ask(QUESTION, tools=[TOOL, OTHER], tool_choice="required").choices[0].message.tool_calls

    def schema(self) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "river", "schema": RIVER, "strict": True}}
        assert json.loads(self.ask("A river?", response_format=form).choices[0].message.content)["name"]

    def long(self) -> None:
        assert self.ask(LONG).choices[0].message.content.endswith("line 3000")

    def refusal(self) -> None:
        assert "can't help" in self.ask(REFUSE).choices[0].message.content


class SimonwLLM:
    def __init__(self) -> None:
        from llm.default_plugins.openai_models import Chat

        self.model = Chat("auto", model_name="auto", api_base=f"{BASE}/v1", supports_schema=True, supports_tools=True)
        self.model.key = KEY

    def chat(self) -> None:
        assert TIDES in self.model.prompt(QUESTION, stream=False).text()

    def stream(self) -> None:
        assert TIDES in "".join(self.model.prompt(QUESTION, stream=True))

    def tools(self) -> None:
        def weather(place: str) -> str:
            """The weather of a place."""
            return f"rain in {place}"

        assert "rain in Ulm" in self.model.chain(WEATHER, tools=[weather]).text()

    def schema(self) -> None:
        assert json.loads(self.model.prompt("A river?", schema=RIVER, stream=False).text())["name"]

    def long(self) -> None:
        assert self.model.prompt(LONG, stream=True).text().endswith("line 3000")

    def refusal(self) -> None:
        assert "can't help" in self.model.prompt(REFUSE, stream=False).text()


CLIENTS: dict[str, type] = {
    "openai chat": OpenAIChat,
    "openai responses": OpenAIResponses,
    "anthropic": Anthropic,
    "langchain": LangChain,
    "llama-index": LlamaIndex,
    "pydantic-ai": PydanticAI,
    "instructor": Instructor,
    "openai-agents": OpenAIAgents,
    "smolagents": Smolagents,
    "litellm": LiteLLM,
    "llm": SimonwLLM,
}
FEATURES = ("chat", "stream", "tools", "required", "schema", "ten_turns", "long", "refusal")


def main(name: str) -> None:
    found: dict[str, str] = {}
    try:
        client = CLIENTS[name]()
    except Exception as error:
        print(json.dumps({"setup": f"{type(error).__name__}: {error}"[:300]}))
        return
    for feature in FEATURES:
        if hasattr(client, feature):
            try:
                getattr(client, feature)()
                found[feature] = "ok"
            except Exception as error:
                found[feature] = f"{type(error).__name__}: {error}"[:300] or "failed"
                traceback.print_exc(limit=-3)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
