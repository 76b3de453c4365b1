/** Loads what the tests' processes and threads load, so that the compile cache has it from the first of them on. */
import "../../src/index.ts"
import "../../src/layers/cli/Sluice.ts"
import "../../src/plain.ts"
import "../../src/testing.ts"
import "../../src/worker.ts"
