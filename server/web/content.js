// What a message says: a plain text, a text with files, or any other JSON value. Pure. Others may send whatever they like,
// so this decides what is believed: a file is only ever an address of this server's own `/files/`.

/** What the server serves as a picture and every browser shows; docs/PROTOCOL.md has the list. */
const PICTURES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif']);
const FILE_URL = /^\/files\/[0-9a-f]{32}$/;
export const FILES_MAX = 10;
/** The server keeps names of this many bytes. */
const NAME_CHARS_MAX = 255;
/** A side of a picture longer than this is not believed; nothing is reserved for it. */
const SIDE_MAX = 32_767;
/** JSON longer than this is shown without line breaks: indenting deep nesting multiplies its length. */
const INDENTED_CHARS_MAX = 1_000;

/**
 * Reads a content: `{ text, files, json }`, where `json` says that the text is a value of which we know nothing.
 * A file is `{ url, name, type, size, width?, height? }`.
 */
export function readContent(content) {
  if (typeof content === 'string') return { text: content, files: [], json: false };
  if (isWithFiles(content)) return { text: content.text, files: content.files.map(readFile), json: false };
  return { text: jsonOf(content), files: [], json: true };
}

/** The content of a message with this text and these files. */
export const contentOf = (text, files) => (files.length === 0 ? text : { text, files });

export const isPicture = ({ type }) => PICTURES.has(type);

function isWithFiles(content) {
  if (content === null || typeof content !== 'object') return false;
  const { text, files } = content;
  if (typeof text !== 'string' || !Array.isArray(files)) return false;
  return files.length > 0 && files.length <= FILES_MAX && files.every(isFile);
}

function isFile(file) {
  if (file === null || typeof file !== 'object') return false;
  const { url, name, type, size } = file;
  const isName = typeof name === 'string' && name !== '' && name.length <= NAME_CHARS_MAX;
  return typeof url === 'string' && FILE_URL.test(url) && isName && typeof type === 'string' && Number.isSafeInteger(size) && size >= 0;
}

function readFile({ url, name, type, size, width, height }) {
  const isSide = (side) => Number.isInteger(side) && side > 0 && side <= SIDE_MAX;
  const sides = isSide(width) && isSide(height) ? { width, height } : {};
  return { url, name, type, size, ...sides };
}

function jsonOf(content) {
  try {
    const text = JSON.stringify(content) ?? '';
    return text.length > INDENTED_CHARS_MAX ? text : JSON.stringify(content, null, 2) ?? '';
  } catch {
    // The parser has no limit of depth, but the way back has.
    return '(JSON that is nested too deeply to be shown)';
  }
}
