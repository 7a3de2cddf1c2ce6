// Files that were fetched ahead and are kept in memory until they are shown: then no connection is needed any more. They
// are as they travelled, a few dozen kilobytes each; the oldest go first.

const MOST = 80;
const held = new Map<string, Blob>();

/** Fetch a file and keep it. */
export async function fetchAhead(url: string): Promise<void> {
  if (held.has(url)) return;
  const response = await fetch(url, { credentials: "same-origin", priority: "low" });
  if (!response.ok) return;
  held.set(url, await response.blob());
  for (const oldest of held.keys()) {
    if (held.size <= MOST) break;
    held.delete(oldest);
  }
}

/** A file that was kept; undefined where it has to be fetched. */
export function heldFile(url: string): Blob | undefined {
  return held.get(url);
}
