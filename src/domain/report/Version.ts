/** The version of this package; a test holds it to package.json. */
export const version = "0.1.0"

/** The oldest version of Node that it runs on, major and minor; a test holds it to package.json. */
export const oldestNode: readonly [major: number, minor: number] = [24, 21]
