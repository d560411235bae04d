// Redis in a container, and two replicas of the shop behind one address: dotnet run --project samples/Aspire
var builder = DistributedApplication.CreateBuilder(args);

var cache = builder.AddRedis("cache").WithImageTag(builder.Configuration["RedisTag"] ?? "8.2");

builder.AddProject<Projects.Shop>("shop")
    .WithReference(cache)
    .WaitFor(cache)
    .WithReplicas(2)
    .WithHttpHealthCheck("/health")
    .WithExternalHttpEndpoints();

builder.Build().Run();
