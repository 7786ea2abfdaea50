/* The words by which Rails marks what JSON cannot say (active_job/arguments.rb and its serializers). */

export const GLOBAL_ID = "_aj_globalid";
export const SERIALIZED = "_aj_serialized";
export const SYMBOL_KEYS = "_aj_symbol_keys";
export const KEYWORDS = "_aj_ruby2_keywords";
export const INDIFFERENT = "_aj_hash_with_indifferent_access";

/** A Hash of a user cannot have these keys: Rails refuses them, too. */
export const RESERVED: ReadonlySet<string> = new Set([GLOBAL_ID, SERIALIZED, SYMBOL_KEYS, KEYWORDS, INDIFFERENT]);

/** Full name of one of Rails' own serializers. */
export const serializer = (kind: string): string => `ActiveJob::Serializers::${kind}Serializer`;
