import pc from "picocolors";

/** Where a command prints and whom it may ask; tests bring their own. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  /** Somebody sits there: stdin is a TTY. */
  readonly isInteractive: boolean;
  /** Colours where stdout takes them and `NO_COLOR` doesn't say otherwise. */
  readonly colors: ReturnType<typeof pc.createColors>;
  /** A line of the answer, on standard output. */
  print: (line: string) => void;
  /** A line beside the answer, on standard error. */
  note: (line: string) => void;
  confirm: (question: string) => Promise<boolean>;
  /** `undefined` when they'd rather not say. */
  ask: (question: string) => Promise<string | undefined>;
  /** What is typed stays unseen. */
  askSecret: (question: string) => Promise<string | undefined>;
}

export function processTerminal(): Terminal {
  return {
    env: process.env,
    isInteractive: process.stdin.isTTY,
    colors: pc,
    print: (line) => process.stdout.write(`${line}\n`),
    note: (line) => process.stderr.write(`${line}\n`),
    confirm: async (message) => {
      const { confirm, isCancel } = await import("@clack/prompts");
      const answer = await confirm({ message, initialValue: false, output: process.stderr });
      return !isCancel(answer) && answer;
    },
    ask: async (message) => {
      const { text, isCancel } = await import("@clack/prompts");
      const answer = await text({ message, output: process.stderr });
      return isCancel(answer) ? undefined : answer;
    },
    askSecret: async (message) => {
      const { password, isCancel } = await import("@clack/prompts");
      const answer = await password({ message, output: process.stderr });
      return isCancel(answer) ? undefined : answer;
    },
  };
}
