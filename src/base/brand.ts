declare const brand: unique symbol;

/** `T` that only its one maker can produce: a string that has been checked is not a string that has not. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
