export type Message = {
    type: string;
    [field: string]: any;
};
export type Field = [number, Kind] | [number, Kind, Fields];
export type Kind = 'text' | 'number' | 'flag' | 'bytes' | 'epoch' | 'texts' | 'message' | 'messages';
export type Fields = Record<string, Field>;
/**
 * The class to be given to `connect` as `WebSocket`; in Node before 22 with that of `ws`.
 *
 * @returns {any}
 */
export declare function protobuf(/** @type {any} */ Socket?: any): any;
/** The bytes of a request. */
export declare function encode(/** @type {Message} */ { type, id, ...fields }: Message): Uint8Array<ArrayBuffer>;
/** The message that bytes of the server are; null where they are none that is known. @returns {Message | null} */
export declare function decode(/** @type {ArrayBuffer | Uint8Array} */ data: ArrayBuffer | Uint8Array): Message | null;
