/**
 * Cuts a JSON array that arrives in pieces into the texts of its elements, so that a restore of hundreds of megabytes is parsed one job at a
 * time. It counts brackets and skips strings; whether an element is good JSON is for JSON.parse to say.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const isOpen = (byte: number): boolean => byte === 0x5b || byte === 0x7b;
const isClose = (byte: number): boolean => byte === 0x5d || byte === 0x7d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;

export class JsonArrayError extends Error {}

/** The elements of the array in `source`, as text. Throws JsonArrayError for anything that is not one array, or an element too long. */
export async function* jsonElements(
  source: AsyncIterable<Uint8Array>,
  elementBytesMax: number,
): AsyncGenerator<string> {
  const splitter = new Splitter(elementBytesMax);
  for await (const chunk of source) yield* splitter.push(chunk);
  splitter.end();
}

class Splitter {
  readonly #elementBytesMax: number;
  #state: 'before' | 'inside' | 'after' = 'before';
  #depth = 0;
  #inString = false;
  #escaped = false;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** Elements so far, for errors. */
  #count = 0;
  #afterComma = false;

  constructor(elementBytesMax: number) {
    this.#elementBytesMax = elementBytesMax;
  }

  *push(chunk: Uint8Array): Generator<string> {
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (this.#state !== 'inside') {
        this.#outside(byte);
        from = i + 1;
        continue;
      }
      if (this.#inString) {
        this.#stringByte(byte);
        continue;
      }
      if (byte === QUOTE) this.#inString = true;
      else if (isOpen(byte)) this.#depth++;
      else if (this.#depth > 0) this.#depth -= isClose(byte) ? 1 : 0;
      else if (byte === COMMA || isClose(byte)) {
        this.#keep(chunk.subarray(from, i));
        from = i + 1;
        const element = this.#take(byte === COMMA);
        if (element !== undefined) yield element;
        if (byte !== COMMA) this.#state = 'after';
      }
    }
    if (this.#state === 'inside') this.#keep(chunk.subarray(from));
  }

  end(): void {
    if (this.#state !== 'after')
      throw new JsonArrayError(this.#state === 'before' ? 'expected a JSON array of jobs' : 'the array does not end');
  }

  #outside(byte: number): void {
    if (isSpace(byte)) return;
    if (this.#state === 'after') throw new JsonArrayError('more text after the end of the array');
    if (byte !== 0x5b) throw new JsonArrayError('expected a JSON array of jobs');
    this.#state = 'inside';
  }

  #stringByte(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }

  /** The chunk's buffer may be reused by the stream, so pieces are copied. */
  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    if (this.#bytes > this.#elementBytesMax) {
      throw new JsonArrayError(`job number ${this.#count + 1} is larger than ${this.#elementBytesMax} bytes`);
    }
    this.#parts.push(Uint8Array.from(piece));
  }

  #take(comma: boolean): string | undefined {
    const text = Buffer.concat(this.#parts).toString('utf8').trim();
    this.#parts = [];
    this.#bytes = 0;
    const empty = text === '';
    if (empty && (comma || this.#afterComma))
      throw new JsonArrayError(`nothing between commas after job number ${this.#count}`);
    this.#afterComma = comma;
    if (empty) return undefined;
    this.#count++;
    return text;
  }
}
