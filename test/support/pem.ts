import { readFileSync } from "node:fs";

/** The text of a file in `certificates/`, such as `server.crt`; `make.sh` there tells what each is. */
export function pem(name: string): string {
  return readFileSync(new URL(`certificates/${name}`, import.meta.url), "utf8");
}
