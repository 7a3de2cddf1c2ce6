// The two calls of the volunteer's page. The server's answers are checked here and nowhere else.

import { csrfToken } from "../shared/cookies";
import type { ClassificationBody, Subject } from "./types";

const ACCEPT = "application/vnd.api+json; version=1";
const TIMEOUT_MS = 20_000;

/** The server answered, and said no. `code` is stable; `message` is the server's own sentence. */
export class RefusedError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  /** Whether the same request may succeed later: overload, a time-out, a session that needs renewing. */
  get temporary(): boolean {
    return this.status >= 500 || [401, 408, 425, 429].includes(this.status) || this.isSessionTrouble;
  }

  /** A 403 without one of the site's codes is Django's CSRF check: the log-in changed in another tab. */
  get isSessionTrouble(): boolean {
    return this.status === 403 && this.code === "";
  }
}

interface RawSubject {
  id: string | number;
  metadata?: Record<string, unknown>;
  locations?: Record<string, string>[];
  esocs?: { spectrum_data?: string | null; plane?: string | null };
}

function readSubject(raw: RawSubject): Subject {
  return {
    id: String(raw.id),
    metadata: raw.metadata ?? {},
    locations: raw.locations ?? [],
    spectrumUrl: raw.esocs?.spectrum_data ?? null,
    planeUrl: raw.esocs?.plane ?? null,
  };
}

async function call(
  url: string,
  init: Omit<RequestInit, "headers"> & { headers?: Record<string, string> },
): Promise<unknown> {
  const response = await fetch(url, {
    ...init,
    credentials: "same-origin",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: { Accept: ACCEPT, ...init.headers },
  });
  if (response.ok) return response.status === 204 ? {} : response.json();
  let code = "";
  let message = "";
  try {
    const body = (await response.json()) as { errors?: { code?: string; message?: string }[] };
    code = body.errors?.[0]?.code ?? "";
    message = body.errors?.[0]?.message ?? "";
  } catch {
    // A proxy's own error page: the status says enough.
  }
  throw new RefusedError(response.status, code, message);
}

export async function fetchQueue(
  url: string,
  workflowId: string,
  count: number,
  held: string[],
): Promise<Subject[]> {
  // `held` is sent even when empty: it tells the server to give a reloaded page its subjects back.
  const query = new URLSearchParams({
    workflow_id: workflowId,
    page_size: String(count),
    held: held.join(","),
  });
  const body = (await call(`${url}${url.includes("?") ? "&" : "?"}${query}`, {})) as {
    subjects?: RawSubject[];
  };
  return (body.subjects ?? []).map(readSubject);
}

export interface Refill {
  count: number;
  held: string[];
}

/** Send one classification; the answer brings up to `refill.count` more subjects, or null when it carried none. */
export async function sendClassification(
  url: string,
  key: string,
  body: ClassificationBody,
  refill: Refill,
): Promise<Subject[] | null> {
  const query = new URLSearchParams();
  if (refill.count > 0) {
    query.set("refill", String(refill.count));
    query.set("held", refill.held.join(","));
  }
  const address = query.size > 0 ? `${url}?${query}` : url;
  const answer = (await call(address, {
    method: "POST",
    body: JSON.stringify(body),
    // The browser finishes the request even when the page is closed meanwhile.
    keepalive: true,
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken(), "Idempotency-Key": key },
  })) as { meta?: { subjects?: RawSubject[] } };
  return refill.count > 0 && answer.meta?.subjects ? answer.meta.subjects.map(readSubject) : null;
}

/** Ask for a fresh CSRF cookie. */
export async function renewSession(url: string): Promise<void> {
  await fetch(url, { credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT_MS) });
}
