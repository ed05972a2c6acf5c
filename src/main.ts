#!/usr/bin/env node
import { runProgram } from "./cli/program.ts";
import { processTerminal } from "./cli/terminal.ts";

// `twokey request list | head` closes the pipe when it has seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

const status = await runProgram(process.argv.slice(2), processTerminal());
// A command that has set a status of its own knows better than that it ended well.
if (status !== 0) process.exitCode = status;
