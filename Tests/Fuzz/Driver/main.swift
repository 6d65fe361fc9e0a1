// Runs one fuzz target under libFuzzer: Fuzz TARGET [libFuzzer's flags] CORPUS. `make fuzz` calls it.
//
//   Fuzz --list               the targets
//   Fuzz --seeds TARGET DIR   writes the target's seeds as files

import FuzzLaws

Driver.run(CommandLine.arguments)
