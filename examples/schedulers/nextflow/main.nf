// nextflow run main.nf --program "$PWD/my_program"
params.program = "${launchDir}/my_program"
params.state = "${launchDir}/state"
params.run = '--interval 10m --grace 90s'
params.cases = ['a']

process simulate {
    input:
    val case_name

    output:
    path "${case_name}.txt"

    // Each try has a directory of its own, so the program works in another one that all tries of this
    // task share and no other task has. TERM is what Nextflow sends to each process of a task whose
    // time is over: dmtcpctl shall see it, the program not.
    script:
    """
    task=\$PWD
    mkdir -p '${params.state}/simulate-${case_name}'
    cd '${params.state}/simulate-${case_name}'
    dmtcpctl run --state-dir job --on-signal TERM --keep 2 ${params.run} \\
      -- env --ignore-signal=TERM ${params.program} ${case_name} result.txt
    cp result.txt "\$task/${case_name}.txt"
    """
}

workflow {
    simulate(Channel.fromList(params.cases))
}
