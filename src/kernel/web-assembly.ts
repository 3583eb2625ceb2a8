// What: modules of WebAssembly from their text, and the types of what Node has for them.
// Why: neither Node's types nor the language's have it, and two modules need it.
// Invariant: a module is compiled when it is first needed, once in a thread.

interface WebAssemblyApi {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }) => { readonly buffer: SharedArrayBuffer };
}
const api = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;

/** Makes instances of the module; returns what each exports, which is taken to be `Exports`. @throws RangeError without memory */
export function instancesOf<Exports>(base64: string): (imports: object) => Exports {
  let module: object | null = null;
  return (imports) => {
    module ??= new api.Module(Buffer.from(base64, 'base64'));
    return new api.Instance(module, imports).exports as Exports;
  };
}

/** Shared memory of so many pages of 64 KiB, which neither grows nor shrinks. @throws RangeError without addresses for it */
export function sharedMemory(pages: number): { readonly buffer: SharedArrayBuffer } {
  return new api.Memory({ initial: pages, maximum: pages, shared: true });
}
