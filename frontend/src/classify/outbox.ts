// Answers that the server has not acknowledged yet. IndexedDB is the source of truth: it survives a reload, a crash and
// a lost connection. Where the browser refuses it, answers are kept in memory and the page says so.

import type { ClassificationBody } from "./types";

const DATABASE = "esocs";
const STORE = "outbox";

/** Refusals that may have passed by the next visit: a question that was closed can be opened again. */
const PASSING = new Set(["workflow_inactive"]);

export interface Letter {
  /** The submission's idempotency key. */
  id: string;
  /** Order of answering. */
  sequence: number;
  url: string;
  body: ClassificationBody;
  /** Set when the server refused it: kept for the record, and sent again at a later visit if that may have passed. */
  refused?: { status: number; code: string };
}

export interface Outbox {
  /** False when answers live in this tab's memory only. */
  readonly durable: boolean;
  put(letter: Letter): Promise<void>;
  remove(id: string): Promise<void>;
  /** Unsent letters, oldest first. */
  pending(): Promise<Letter[]>;
}

class StoredOutbox implements Outbox {
  readonly durable = true;

  constructor(private readonly database: IDBDatabase) {}

  async put(letter: Letter): Promise<void> {
    await this.run("readwrite", (store) => store.put(letter));
  }

  async remove(id: string): Promise<void> {
    await this.run("readwrite", (store) => store.delete(id));
  }

  async pending(): Promise<Letter[]> {
    return unsent(await this.all());
  }

  /** Have letters sent again whose refusal may have passed. */
  async revive(): Promise<void> {
    for (const { refused, ...letter } of await this.all()) {
      if (refused && PASSING.has(refused.code)) await this.put(letter);
    }
  }

  private all(): Promise<Letter[]> {
    return this.run<Letter[]>("readonly", (store) => store.getAll() as IDBRequest<Letter[]>);
  }

  private run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      // Only a completed transaction is on disk; a request's success is not.
      transaction.oncomplete = () => {
        resolve(request.result);
      };
      transaction.onabort = transaction.onerror = () => {
        reject(transaction.error ?? new Error("The browser's storage refused."));
      };
    });
  }
}

export class MemoryOutbox implements Outbox {
  readonly durable = false;
  private readonly letters = new Map<string, Letter>();

  put(letter: Letter): Promise<void> {
    this.letters.set(letter.id, letter);
    return Promise.resolve();
  }

  remove(id: string): Promise<void> {
    this.letters.delete(id);
    return Promise.resolve();
  }

  pending(): Promise<Letter[]> {
    return Promise.resolve(unsent([...this.letters.values()]));
  }
}

function unsent(letters: Letter[]): Letter[] {
  return letters.filter((letter) => !letter.refused).sort((a, b) => a.sequence - b.sequence);
}

/** Writes to the browser's storage, and to memory from the moment that storage fails (disk full, private window). */
class SafeOutbox implements Outbox {
  private readonly memory = new MemoryOutbox();
  private failed = false;

  constructor(private readonly stored: Outbox) {}

  get durable(): boolean {
    return !this.failed;
  }

  async put(letter: Letter): Promise<void> {
    try {
      await this.stored.put(letter);
    } catch {
      this.failed = true;
      await this.memory.put(letter);
    }
  }

  async remove(id: string): Promise<void> {
    await this.memory.remove(id);
    try {
      await this.stored.remove(id);
    } catch {
      // It stays and is sent again under the same key, which the server answers without counting twice.
      this.failed = true;
    }
  }

  async pending(): Promise<Letter[]> {
    const kept = await this.memory.pending();
    try {
      return unsent([...(await this.stored.pending()), ...kept]);
    } catch {
      this.failed = true;
      return kept;
    }
  }
}

export async function openOutbox(): Promise<Outbox> {
  try {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STORE, { keyPath: "id" });
      };
      request.onsuccess = () => {
        resolve(request.result);
      };
      request.onerror = () => {
        reject(request.error ?? new Error("No storage."));
      };
      request.onblocked = () => {
        reject(new Error("Storage is blocked."));
      };
    });
    const stored = new StoredOutbox(database);
    // A full disk revives nothing, and is told when an answer is to be stored.
    await stored.revive().catch(() => undefined);
    return new SafeOutbox(stored);
  } catch {
    return new MemoryOutbox();
  }
}

/** A random UUID (version 4), also on plain-http addresses where `crypto.randomUUID` is missing. */
export function newKey(): string {
  if ("randomUUID" in crypto) return crypto.randomUUID();
  const bytes = (crypto as Crypto).getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
