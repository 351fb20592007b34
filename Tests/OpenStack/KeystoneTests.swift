import TestBed
import Testing

extension OpenStackTests {
  /// A cloud that has a Keystone already: who is let in, as what, and what happens while it is away.
  @Test func keystone() async throws {
    try await Bed.with { bed in
      let keystone = try Keystone(in: bed)
      let password = try bed.folder.write(Keystone.password + "\n", to: "pumice-password")
      let cloud = try MemoryCloud(
        in: bed,
        authentication: """
          auth: keystone
          keystone: {url: "\(keystone.url)", user: pumice, password_file: "\(password)", cache_time: 300}
          """)
      try await keystone.start()
      try await cloud.startDaemons()
      let coordinator = cloud.coordinator
      func walk(_ user: String, _ project: String) -> Walk {
        Walk(bed: bed, client: .openstack, environment: keystone.environment(user, project: project))
      }

      // What an administrator does once, and then has.
      try await walk("admin", "admin").take(
        [
          .run("project create service"), .run("project create demo"), .run("project create other"),
          .run("role create service"), .run("role create sweeper"),
          .run("service create --name cinder block-storage"), .run("service create --name nova compute"),
          .run("endpoint create --region RegionOne block-storage public \(coordinator.url)/v3/%(tenant_id)s"),
          .run("endpoint create --region RegionOne compute public \(coordinator.url)/compute/v2.1"),
        ]
          + [
            ("pumice", "service", "service"), ("alice", "demo", "member"), ("rita", "demo", "reader"),
            ("sven", "demo", "sweeper"), ("otto", "other", "member"),
          ].flatMap { user, project, role in
            [
              Step.run("user create --password \(Keystone.password) \(user)"),
              .run("role add --user \(user) --project \(project) \(role)"),
            ]
          })

      try await walk("alice", "demo").take([
        .run("volume create --size 1 db", shows: ["size": 1]),
        .wait("volume show db", for: ["status": "available"]), .run("volume list", printing: "db"),
        .fail("volume service list", saying: "403"),
      ])
      try await walk("rita", "demo").take([
        .run("volume list", printing: "db"), .fail("volume create --size 1 x", saying: "403"),
      ])
      try await walk("sven", "demo").take([.fail("volume list", saying: "403")])
      try await walk("otto", "other").take([.fail("volume show db", saying: "No Volume found", "No volume")])
      try await walk("admin", "admin").take([
        .run("volume list --all-projects", printing: "db"), .run("volume service list", printing: "cinder-volume"),
      ])

      func token(_ user: String, _ project: String) async throws -> API {
        let shown = try await walk(user, project).take([.run("token issue", shows: [:])])
        return API(url: coordinator.url, token: try #require(shown.first?["id"].string))
      }
      func status(_ api: API) async throws -> Int {
        do {
          _ = try await api.get("/v3/volumes")
          return 200
        } catch let refusal as API.Refusal {
          return refusal.status
        }
      }
      let (known, unseen) = (try await token("alice", "demo"), try await token("alice", "demo"))
      let revoked = try await token("rita", "demo")
      #expect(try await status(known) == 200)
      #expect(try await status(API(url: coordinator.url, token: "gAAAAAB-not-a-token")) == 401)
      #expect(try await status(API(url: coordinator.url)) == 401)
      try await walk("admin", "admin").take([.run("token revoke \(try #require(revoked.token))")])
      #expect(try await status(revoked) == 401)

      // Who is known goes on for a while, whoever is not is told why; and when Keystone is back, all is well.
      try await keystone.daemon.kill9()
      #expect(try await status(known) == 200)
      #expect(try await status(unseen) == 503)
      try await keystone.daemon.start(within: .seconds(60))
      try await eventually("the token is checked again") { try await status(unseen) == 200 }
    }
  }
}
