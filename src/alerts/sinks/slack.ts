import type { Secret } from "../../base/secret.ts";
import { alertFacts, type Alert } from "../alert.ts";
import type { Send } from "../delivery.ts";
import { postJson } from "../post.ts";

/**
 * Slack's incoming webhook. `text` holds everything, since what only calls itself compatible (Mattermost, Rocket.Chat)
 * shows nothing else; Slack shows the blocks, all of them plain text, in which nothing is markup.
 *
 * @param webhook - its URL, asked for at each attempt
 */
export function slackSink(webhook: () => Secret): Send {
  return (alert, signal) => {
    const url = webhook().reveal();
    // Said here: the error that fetch throws would show the secret.
    if (!URL.canParse(url)) throw new Error("what was found as the webhook's URL is none");
    return postJson(url, { body: JSON.stringify(slackMessage(alert)), signal });
  };
}

const SYMBOL = { info: "ℹ️", warning: "⚠️", critical: "🛑" } as const;
/** Slack docs, "Section block" and "Header block". */
const MAX_FIELD = 2000;
const MAX_HEADER = 150;

function slackMessage(alert: Alert): object {
  const facts = alertFacts(alert);
  const symbol = alert.status === "resolved" ? "✅" : SYMBOL[alert.severity];
  const lines = facts.map(([label, text]) => `${label}: ${escape(text)}`);
  return {
    text: [`${symbol} ${escape(alert.title)}`, ...lines].join("\n"),
    blocks: [
      { type: "header", text: plain(`${symbol} ${alert.title}`, MAX_HEADER) },
      ...facts.map(([label, text]) => ({
        type: "section",
        text: plain(`${label}: ${text}`, MAX_FIELD),
      })),
      ...button(alert),
    ],
  };
}

function button({ url, request }: Alert): object[] {
  if (url === undefined || request === undefined) return [];
  const open = { type: "button", text: plain(`Open ${request}`, 75), url };
  return [{ type: "actions", elements: [open] }];
}

function plain(text: string, maxLength: number): object {
  return { type: "plain_text", text: text.slice(0, maxLength), emoji: false };
}

/** Nobody gets to call a channel together, or to dress a link, by the name of a table. */
function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll(/@(?=all|channel|everyone|here)/gi, "@\u200b");
}
