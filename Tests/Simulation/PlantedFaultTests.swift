import Testing

/// Proof that the simulation can fail: a mistake of each class is planted, and has to be noticed.
@Suite struct PlantedFaultTests {
  @Test(arguments: [
    "forgetsCommits", "skipsFence", "skipsUnplug", "keepsErasedVolumes", "skipsProvisioning", "attachesTwice",
    "neverFinishes", "losesSnapshots", "keepsErasedSnapshots", "repeatsOldReverts", "skipsReverts", "copiesNothing",
    "dropsDevices",
  ]) func aPlantedFaultIsCaught(_ name: String) throws {
    var faults = PlantedFaults()
    switch name {
    case "forgetsCommits": faults.forgetsCommits = true
    case "skipsFence": faults.skipsFence = true
    case "skipsUnplug": faults.skipsUnplug = true
    case "keepsErasedVolumes": faults.keepsErasedVolumes = true
    case "skipsProvisioning": faults.skipsProvisioning = true
    case "attachesTwice": faults.attachesTwice = true
    case "losesSnapshots": faults.losesSnapshots = true
    case "keepsErasedSnapshots": faults.keepsErasedSnapshots = true
    case "repeatsOldReverts": faults.repeatsOldReverts = true
    case "skipsReverts": faults.skipsReverts = true
    case "copiesNothing": faults.copiesNothing = true
    case "dropsDevices": faults.dropsDevices = true
    default: faults.neverFinishes = true
    }
    let caught = (0..<300).first { !Simulation(seed: $0, faults: faults).run().isEmpty }
    #expect(caught != nil, "No seed of 300 noticed that the agent or the store \(name).")
  }
}
