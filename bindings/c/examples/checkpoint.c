/* A complete, checked, durable set of images out of any coordinator: checkpoint HOST PORT DIR */
#include <dmtcp_rs.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(const char *what, dmtcp_result code) {
  fprintf(stderr, "%s: %s: %s\n", what, dmtcp_result_name(code), dmtcp_last_error_message());
  return 1;
}

static int show(dmtcp_set *set) {
  dmtcp_set_info info = {.size = sizeof info};
  dmtcp_result code = dmtcp_set_get(set, &info);
  if (code != DMTCP_OK) return failed("set", code);
  printf("set %llu in %s\n", (unsigned long long)info.number, info.dir);
  for (size_t i = 0; i < info.images; i++) {
    dmtcp_image image = {.size = sizeof image};
    if (dmtcp_set_image(set, i, &image) == DMTCP_OK)
      printf("%s: %s, %llu bytes\n", image.program, image.path, (unsigned long long)image.bytes);
  }
  /* Every byte again; it was checked when it was sealed. */
  code = dmtcp_set_verify(set);
  return code == DMTCP_OK ? 0 : failed("verify", code);
}

static int checkpoint(dmtcp_coordinator *coordinator, const char *dir) {
  dmtcp_foreign_sets *sets = NULL;
  dmtcp_result code = dmtcp_foreign_sets_new(coordinator, dir, NULL, &sets);
  if (code != DMTCP_OK) return failed(dir, code);
  dmtcp_set *set = NULL;
  code = dmtcp_foreign_sets_checkpoint(sets, 60000, &set);
  int rc = code == DMTCP_OK ? show(set) : failed("checkpoint", code);
  dmtcp_set_free(set);
  dmtcp_foreign_sets_free(sets);
  return rc;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s HOST PORT DIR\n", argv[0]);
    return 2;
  }
  dmtcp_coordinator *coordinator = NULL;
  uint32_t port = (uint32_t)strtoul(argv[2], NULL, 10);
  dmtcp_result code = dmtcp_coordinator_detect(argv[1], port, 10000, &coordinator);
  if (code != DMTCP_OK) return failed(argv[1], code);
  int rc = checkpoint(coordinator, argv[3]);
  dmtcp_coordinator_free(coordinator);
  return rc;
}
