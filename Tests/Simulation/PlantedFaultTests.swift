import Testing

/// Proof that the simulation can fail: a mistake of each class is planted, and has to be noticed.
@Suite struct PlantedFaultTests {
  @Test(arguments: PlantedFault.allCases) func aPlantedFaultIsCaught(_ planted: PlantedFault) {
    let caught = (0..<300).first { !Simulation(seed: $0, planted: planted).run().isEmpty }
    #expect(caught != nil, "No seed of 300 noticed that the agent or the store \(planted).")
  }
}
