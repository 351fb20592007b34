import Foundation
import PumiceModel
import TestBed
import Testing

extension OpenStackTests {
  /// openstacksdk and Ansible's openstack.cloud modules, each by a program of its own.
  @Test func programs() async throws {
    try await Bed.with { bed in
      let cloud = try await Cloud(in: bed)
      let (fleet, guest) = (cloud.fleet, cloud.fleet.guest)
      try await fleet.telling {
        try await cloud.start()
        let clients = try await Clients.folder(in: bed)
        var environment = cloud.environment("alice", project: "demo")
        let ada = Walk(bed: bed, client: .openstack, environment: cloud.environment("ada", project: "admin"))
        try await ada.take([.wait("server show \(guest.id)", for: ["status": "ACTIVE"])])
        let walked = try await bed.run(
          ["\(clients)/bin/python", "\(Clients.scripts)/sdk_walk.py", guest.name], environment: environment,
          within: .seconds(240))
        #expect(walked.hasSuffix("walked\n"), "\(walked)")

        environment["ANSIBLE_COLLECTIONS_PATH"] = "\(clients)/collections"
        environment["ANSIBLE_HOME"] = bed.folder.file("ansible")
        environment["ANSIBLE_LOCALHOST_WARNING"] = "false"
        environment["LC_ALL"] = "C.UTF-8"
        let played = try await bed.run(
          [
            "\(clients)/bin/ansible-playbook", "-i", "localhost,", "-e", "guest=\(guest.name)",
            "-e", "ansible_python_interpreter=\(clients)/bin/python", "\(Clients.scripts)/playbook.yml",
          ], environment: environment, within: .seconds(240))
        #expect(played.contains("failed=0") && !played.contains("unreachable=1"), "\(played)")
        try await eventually("nothing is left", within: .seconds(60)) {
          try await bed.run(["ls", fleet.agent.volumes]).isEmpty
        }
      }
    }
  }

  /// What README.md tells people to do, done as it says.
  @Test func theReadmesPageIsTrue() async throws {
    let page = try Readme(section: "Using it with OpenStack tools")
    try await Bed.with { bed in
      let cloud = try await Cloud(in: bed)
      let guest = cloud.fleet.guest
      let reader = try ReadmeReader(page, bed: bed, url: cloud.fleet.coordinator.url, token: "")
      try await cloud.fleet.telling {
        try await cloud.start()
        try await eventually("the guest is known", within: .seconds(60)) {
          try await reader.openstack("--os-cloud pumice server list").contains(guest.name)
        }
        let commands = page.blocks.joined().filter { $0.hasPrefix("openstack --os-cloud pumice ") }
        #expect(commands.count >= 2)
        for command in commands {
          _ = try await reader.openstack(
            command.replacing("openstack ", with: "").replacing("my-guest", with: guest.name))
          try await eventually("that is done", within: .seconds(60)) {
            let list = try await reader.openstack("--os-cloud pumice volume list")
            return list.contains(command.contains("create") ? "available" : "in-use")
          }
        }
      }
    }
  }

  @Test(arguments: ["token", "none"]) func theReadmesOtherCloudIsTrue(authentication: String) async throws {
    try await Bed.with { bed in
      let token = "a-token-of-at-least-16-characters"
      let tokens = try bed.folder.write(
        "- token: \(token)\n  project: demo\n  user: alice\n  roles: [member]\n", to: "tokens.yaml")
      try await bed.run(["chmod", "0600", tokens])
      let coordinator = try CoordinatorDaemon(
        in: bed, authentication: authentication == "none" ? "auth: none" : "auth: token\ntokens_file: \(tokens)")
      let page = try Readme(section: "Using it with OpenStack tools")
      let reader = try ReadmeReader(page, bed: bed, url: coordinator.url, token: token)
      try await coordinator.daemon.start()
      for command in ["volume create --size 1 db", "volume list", "server list"] {
        let said = try await reader.openstack("--os-cloud pumice-token \(command)")
        #expect(command.hasPrefix("server") || said.contains("db"), "\(command): \(said)")
      }
    }
  }
}

/// Somebody who has put the page's `clouds.yaml` in place, with an address and secrets of their own.
private struct ReadmeReader {
  let bed: Bed
  let file: String

  init(_ page: Readme, bed: Bed, url: String, token: String) throws {
    self.bed = bed
    let clouds = try #require(page.texts.first { $0.hasPrefix("clouds:") })
    file = try bed.folder.write(
      clouds.replacing("http://127.0.0.1:8776", with: url).replacing("her password", with: Cloud.password)
        .replacing("the token", with: token), to: "clouds.yaml")
  }

  func openstack(_ words: String) async throws -> String {
    let clients = try await Clients.folder(in: bed)
    return try await bed.run(
      ["\(clients)/bin/openstack"] + words.split(separator: " ").map(String.init),
      environment: ["OS_CLIENT_CONFIG_FILE": file], within: .seconds(60))
  }
}
