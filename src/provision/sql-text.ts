/** A name as it stands, quoted (PostgreSQL docs, "Identifiers and Key Words"). */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string constant. With a backslash it is an escape string, which reads the same whatever the settings. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? ` E${quoted}` : quoted;
}
