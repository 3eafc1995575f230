// What OpenAI's, Anthropic's and Vercel's SDKs for Node can do through the door: BASE and KEY in the environment.
// Prints one JSON object: client to feature to "ok", or to what went wrong.
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const { BASE, KEY } = process.env;
const TIDES = "The moon pulls", QUESTION = "How do tides work?", WEATHER = "What is the weather in Ulm?";
const parameters = { type: "object", properties: { place: { type: "string" } }, required: ["place"] };
const river = z.object({ name: z.string(), length: z.number().int() });
const holds = (truth, what) => { if (!truth) throw new Error(`not so: ${what}`); };

const openai = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY, maxRetries: 0 });
const ask = (content, more = {}) =>
  openai.chat.completions.create({ model: "auto", messages: [{ role: "user", content }], ...more });
const asTool = { type: "function", function: { name: "weather", parameters } };
const other = { type: "function", function: { name: "other", parameters: { type: "object", properties: {} } } };

const clients = {
  "openai-node": {
    chat: async () => holds((await ask(QUESTION)).choices[0].message.content.includes(TIDES), "tides"),
    stream: async () => {
      let said = "";
      for await (const chunk of await ask(QUESTION, { stream: true })) said += chunk.choices[0]?.delta?.content ?? "";
      holds(said.includes(TIDES), said);
    },
    tools: async () => holds((await ask(WEATHER, { tools: [asTool] })).choices[0].message.tool_calls, "a call"),
    required: async () =>
      holds((await ask(QUESTION, { tools: [asTool, other], tool_choice: "required" })).choices[0].message.tool_calls, "a call"),
    long: async () => holds((await ask("Write a long answer.")).choices[0].message.content.endsWith("line 3000"), "its end"),
    refusal: async () => holds((await ask("refuse this")).choices[0].message.refusal, "a refusal"),
  },
  "anthropic-node": {
    chat: async () => {
      const sdk = new Anthropic({ baseURL: BASE, apiKey: KEY, maxRetries: 0 });
      const messages = [{ role: "user", content: QUESTION }];
      const said = await sdk.messages.stream({ model: "auto", max_tokens: 500, messages }).finalText();
      holds(said.includes(TIDES), said);
    },
  },
};
for (const [name, model] of [
  ["ai-sdk openai", createOpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY })("auto")],
  ["ai-sdk compatible", createOpenAICompatible({ name: "t", baseURL: `${BASE}/v1`, apiKey: KEY, supportsStructuredOutputs: true })("auto")],
  ["ai-sdk anthropic", createAnthropic({ baseURL: `${BASE}/v1`, apiKey: KEY })("auto")],
]) {
  const weather = tool({
    description: "The weather of a place.",
    inputSchema: z.object({ place: z.string() }),
    execute: async ({ place }) => `rain in ${place}`,
  });
  // Anthropic's api wants a limit, and the SDK takes 4,096 for a model that it does not know.
  const given = { model, maxRetries: 0, maxOutputTokens: 20000 };
  clients[name] = {
    chat: async () => holds((await generateText({ ...given, prompt: QUESTION })).text.includes(TIDES), "tides"),
    stream: async () => {
      let said = "";
      for await (const piece of streamText({ ...given, prompt: QUESTION }).textStream) said += piece;
      holds(said.includes(TIDES), said);
    },
    tools: async () => {
      const done = await generateText({ ...given, prompt: WEATHER, tools: { weather }, stopWhen: stepCountIs(3) });
      holds(done.text.includes("rain in Ulm"), done.text);
    },
    required: async () => {
      const done = await generateText({ ...given, prompt: QUESTION, tools: { weather }, toolChoice: "required" });
      holds(done.toolCalls.length, "a call");
    },
    schema: async () => holds((await generateObject({ ...given, schema: river, prompt: "A river?" })).object.name, "a name"),
    long: async () => {
      const done = await generateText({ ...given, prompt: "Write a long answer." });
      holds(done.text.endsWith("line 3000"), done.text.slice(-40));
    },
  };
}

const found = {};
for (const [name, features] of Object.entries(clients)) {
  found[name] = {};
  for (const [feature, action] of Object.entries(features)) {
    try {
      await action();
      found[name][feature] = "ok";
    } catch (error) {
      found[name][feature] = `${error.name}: ${error.message}`.slice(0, 300);
    }
  }
}
console.log(JSON.stringify(found));
