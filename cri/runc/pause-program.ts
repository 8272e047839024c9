/**
 * The program that is init of a process namespace which a pod's containers share: upstream's `pause`, in 120 bytes of code. It ignores SIGCHLD, so that the
 * kernel reaps orphans for it, and what would end it; calls itself `pause` and its command line `/pause`, as people and tools look for; and waits. A program of its own because
 * what a machine has (`sleep`) is found under its own name, loads a C library, and is one program with many names on some.
 *
 * Below is the code after assembly; both are small enough to read back (`objdump -D -b binary -m i386:x86-64`, `-m aarch64`):
 *
 *     for each of SIGCHLD, SIGTERM, SIGINT, SIGHUP: rt_sigaction(signal, {SIG_IGN}, NULL, 8)
 *     argv[0] becomes "/pause", and zeros to its end
 *     close(3), where the program itself came from
 *     prctl(PR_SET_NAME, "pause"): what tells that all is done
 *     for ever: pause(); where there is none (arm64), ppoll(NULL, 0, NULL, NULL)
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import { writeFileAtomic } from './atomic-file.ts'

/** `machine`: ELF's number of it. */
const CODE: Readonly<Record<string, { machine: number; base64: string }>> = {
  x64: { machine: 62, base64: 'SItcJAhqAGoAagBqAUyNJV8AAABBD7Y8JIX/dBNIieYx0moIQVpqDVgPBUn/xOvkSI01NQAAAIA7AHQQigaIA0j/w4TAdPBI/8br62oDX2oDWA8Fag9fSI01DwAAALidAAAADwVqIlgPBev5L3BhdXNlABEPAgEA' },
  arm64: {
    machine: 183,
    base64: '8wdA+SkAgNLpf76p/38BqTQEAHCAFkA44AAANOEDAJECAIDSAwGA0sgQgNIBAADU+f//F+ECABBiAkA5wgAANCIAQDliFgA4gv//NCEEAJH6//8XYACA0igHgNIBAADU4AGA0mEBADDoFIDSAQAA1AAAgNIBAIDSAgCA0gMAgNIEAIDSKAmA0gEAANT5//8XL3BhdXNlABEPAgEA',
  },
}

const HEADER_BYTES = 64
const SEGMENT_BYTES = 56
const LOADED_AT = 0x400000
const PT_LOAD = 1
const PT_GNU_STACK = 0x6474e551
const [EXECUTE, WRITE, READ] = [1, 2, 4]

/** An ELF file for this machine (`process.arch`). */
export function pauseProgram(arch: string): Buffer {
  const known = CODE[arch]
  if (!known) throw new CodedError('CRI_INVALID', `shared process namespaces are not built for ${arch}`)
  const code = Buffer.from(known.base64, 'base64')
  const codeAt = HEADER_BYTES + 2 * SEGMENT_BYTES
  const file = Buffer.concat([Buffer.alloc(codeAt), code])
  // 64 bits, little end first, version 1; an executable.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  file.writeUInt16LE(2, 16)
  file.writeUInt16LE(known.machine, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(BigInt(LOADED_AT + codeAt), 24)
  file.writeBigUInt64LE(BigInt(HEADER_BYTES), 32)
  for (const [at, value] of [[52, HEADER_BYTES], [54, SEGMENT_BYTES], [56, 2]] as const) file.writeUInt16LE(value, at)
  segment(file, HEADER_BYTES, { type: PT_LOAD, flags: READ | EXECUTE, address: LOADED_AT, bytes: file.length, align: 0x10000 })
  segment(file, HEADER_BYTES + SEGMENT_BYTES, { type: PT_GNU_STACK, flags: READ | WRITE, address: 0, bytes: 0, align: 16 })
  return file
}

/** Its open descriptor, by which also those may run it who cannot reach the directory. Written where it is missing or another one. */
export async function openPauseProgram(dataDir: string): Promise<{ fd: number; close(): Promise<void> }> {
  const path = join(dataDir, 'pause')
  const program = pauseProgram(process.arch)
  const there = await readFile(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (!there?.equals(program)) await writeFileAtomic(path, program, { mode: 0o755 })
  const file = await open(path, 'r')
  return { fd: file.fd, close: () => file.close() }
}

function segment(file: Buffer, at: number, { type, flags, address, bytes, align }: { type: number; flags: number; address: number; bytes: number; align: number }): void {
  file.writeUInt32LE(type, at)
  file.writeUInt32LE(flags, at + 4)
  for (const [offset, value] of [[8, 0], [16, address], [24, address], [32, bytes], [40, bytes], [48, align]] as const) file.writeBigUInt64LE(BigInt(value), at + offset)
}
